// Pictures: where they come from, and as numbers.

import { button, canvas, make, pen, pixelsOf, row } from './parts.js';
import { here } from './common.js';

// A picture at another size. Halved as long as possible, so that no pixel is skipped.
export function resized(from, width, height) {
  let now = from;
  while (now.width >= 2 * width && now.height >= 2 * height) {
    const half = canvas(Math.ceil(now.width / 2), Math.ceil(now.height / 2)), p = pen(half);
    p.imageSmoothingQuality = 'high';
    p.drawImage(now, 0, 0, half.width, half.height);
    now = half;
  }
  const res = canvas(width, height), p = pen(res);
  p.imageSmoothingQuality = 'high';
  p.fillStyle = '#fff';  // behind what is transparent
  p.fillRect(0, 0, width, height);
  p.drawImage(now, 0, 0, width, height);
  return res;
}

// Floats 0…1 in the order (channels, height, width).
export function floats(c, channels = 3) {
  const { data, width, height } = pixelsOf(c), n = width * height, x = new Float32Array(channels * n);
  for (let i = 0; i < n; i++) for (let k = 0; k < channels; k++) x[k * n + i] = data[4 * i + k] / 255;
  return x;
}

async function decoded(file) {
  const name = file.name || 'what was pasted';
  if (!file.size) throw new Error(`${name} is empty`);
  const image = await createImageBitmap(file).catch(() => {
    throw new Error(`${name} is not a picture that this browser can read. Choose a JPEG, PNG, WebP or GIF file`);
  });
  return { image, name };
}

async function sample(name) {
  const answer = await fetch(new URL(`samples/${name}`, here)).catch(e => ({ statusText: e.message }));
  if (!answer.ok) throw new Error(`the sample picture could not be loaded (${answer.status ?? ''} ${answer.statusText})`);
  return { image: await createImageBitmap(await answer.blob()), name };
}

// Buttons to choose a picture or take a sample; a picture may be dropped on or pasted into `box`, too.
export function pictureSource(box, samples, use, status) {
  let next = 0, used = false;
  const take = async promise => {
    used = true;
    try {
      await use(await promise);
    } catch (e) {
      status.say(`${e.message}.`, true);
    }
  };
  const file = make('input', { type: 'file', accept: 'image/*', class: 'live-file', tabIndex: -1, 'aria-hidden': 'true' });
  file.addEventListener('change', () => {
    if (file.files[0]) take(decoded(file.files[0]));
    file.value = '';
  });
  box.addEventListener('dragover', e => { e.preventDefault(); box.classList.add('over'); });
  box.addEventListener('dragleave', () => box.classList.remove('over'));
  box.addEventListener('drop', e => {
    e.preventDefault();
    box.classList.remove('over');
    if (e.dataTransfer.files[0]) take(decoded(e.dataTransfer.files[0]));
    else status.say('Nothing that was dropped is a file. Save the picture first, or choose it with the button.', true);
  });
  box.addEventListener('paste', e => {
    const found = [...e.clipboardData.files][0];
    if (found) take(decoded(found));
    else if (!e.target.closest('input, textarea')) status.say('There is no picture on the clipboard.', true);
  });
  const another = () => take(sample(samples[next++ % samples.length]));
  new IntersectionObserver(([o], watch) => {  // the first sample, once the cell is near
    if (!o.isIntersecting) return;
    watch.disconnect();
    if (!used) another();
  }, { rootMargin: '400px' }).observe(box);
  return row(button('Choose a picture…', () => file.click()), file,
    samples.length > 1 ? button('Another of ours', another) : button('Ours again', another),
    make('span', { class: 'live-hint' }, 'or drop one here, or paste it. Nothing is uploaded.'));
}
