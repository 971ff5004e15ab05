// 03 and 04: a photo is damaged and restored.

import { button, canvas, make, pen, pixelsOf, row, switchTo } from './parts.js';
import { ask, slider } from './common.js';
import { pictureSource, resized } from './pictures.js';

// Numbers as from a normal distribution, the same each time.
function noiseSource(seed = 1) {
  const uniform = () => {  // mulberry32
    seed = seed + 0x6d2b79f5 | 0;
    let t = Math.imul(seed ^ seed >>> 15, 1 | seed);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return ((t ^ t >>> 14) >>> 0) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

async function damaged(photo, { size, noise, quality }) {
  let now = photo;
  if (size < 100) {
    const small = resized(now, ...[now.width, now.height].map(n => Math.max(1, Math.round(n * size / 100))));
    now = resized(small, photo.width, photo.height);
  }
  if (noise) {
    const im = pixelsOf(now), next = noiseSource();
    for (let i = 0; i < im.data.length; i++) if (i % 4 < 3) im.data[i] += noise * next();
    now = canvas(photo.width, photo.height);
    pen(now).putImageData(im, 0, 0);
  }
  if (quality < 100) {
    const blob = await new Promise(done => now.toBlob(done, 'image/jpeg', quality / 100));
    const image = await createImageBitmap(blob);
    now = resized(image, image.width, image.height);
  }
  return now;
}

// Peak signal-to-noise ratio in dB of two pictures of one size.
function psnr(a, b) {
  const x = pixelsOf(a).data, y = pixelsOf(b).data;
  let sum = 0;
  for (let i = 0; i < x.length; i++) if (i % 4 < 3) sum += (x[i] - y[i]) ** 2;
  return sum ? 10 * Math.log10(255 ** 2 / (sum / (x.length * 0.75))) : Infinity;
}

export default function (section, box, model, status) {
  const before = canvas(4, 3), after = canvas(4, 3, { class: 'live-after' });
  const stage = make('div', { class: 'live-stage', role: 'img', 'aria-label': 'the photo: damaged at the left, restored at the right' }, before, after);
  const split = slider('Before | after', { min: 0, max: 100, value: 50, show: v => `${v} %` }, v => stage.style.setProperty('--split', `${v}%`));
  const go = button('Restore', restore, { class: 'go' }), stop = button('Cancel', () => running?.cancel(), { off: true });
  const save = button('Save as PNG', saveIt, { off: true });
  const longest = make('select', {}, ...[['512', '512 pixels'], ['1024', '1024 pixels'], ['2048', '2048 pixels'], ['9999', 'as it is']].map(
    ([value, text]) => make('option', { value, selected: value === '1024' }, text)));
  let source, photo, name = 'photo', running, timer, turn = 0, working;

  const damage = { size: 100, noise: 12, quality: 30 };
  const later = what => v => { damage[what] = v; clearTimeout(timer); timer = setTimeout(apply, 60); };
  const sliders = [
    slider('Size', { min: 20, max: 100, step: 5, value: damage.size, show: v => v < 100 ? `${v} %` : 'all' }, later('size')),
    slider('Noise', { min: 0, max: 40, value: damage.noise, show: v => v ? `${v}` : 'none' }, later('noise')),
    slider('JPEG quality', { min: 5, max: 100, step: 5, value: damage.quality, show: v => v < 100 ? `${v}` : 'untouched' }, later('quality')),
  ];
  const asIs = button('No damage', () => sliders.forEach((o, i) => {
    o.input.value = [100, 0, 100][i];
    o.input.dispatchEvent(new Event('input'));
  }));

  function use(chosen) {
    source = chosen.image;
    name = chosen.name.replace(/\.\w+$/, '');
    return fit();
  }
  function fit() {
    const zoom = Math.min(1, longest.value / Math.max(source.width, source.height));
    photo = resized(source, ...[source.width, source.height].map(n => Math.max(1, Math.round(n * zoom))));
    return apply();
  }
  async function apply() {
    if (!photo) return;
    running?.cancel();
    const mine = ++turn;
    working = damaged(photo, damage);
    const shown = await working;
    if (mine !== turn) return;
    [before.width, before.height] = [after.width, after.height] = [shown.width, shown.height];
    pen(before).drawImage(shown, 0, 0);
    stage.classList.remove('done');
    switchTo(false, save);
    delete section.last;
    const more = source.width > photo.width ? `, made smaller from ${source.width}×${source.height}` : '';
    status.say(`${photo.width}×${photo.height} pixels${more}.`);
  }

  async function restore() {
    clearTimeout(timer);
    if (!photo) return;
    await apply();
    const mine = turn, { data, width, height } = pixelsOf(before), t = performance.now(), p = pen(after);
    stage.classList.add('done');
    switchTo(false, go);
    switchTo(true, stop);
    const part = o => {
      if (mine !== turn) return;
      if (after.width !== o.fullWidth) [after.width, after.height] = [o.fullWidth, o.fullHeight];
      p.putImageData(new ImageData(o.rgba, o.width, o.height), o.x, o.y);
    };
    running = ask({ what: 'restore', model, rgba: data, width, height, tile: 320, overlap: 32 }, { progress: o => mine === turn && status.progress(o), part });
    try {
      const size = await running;
      if (mine === turn && size) {
        const seconds = ((performance.now() - t) / 1000).toFixed(1);
        section.last = { rgba: data, width, height, result: pixelsOf(after).data, size };
        switchTo(true, save);
        const same = size.width === photo.width, was = same ? psnr(before, photo) : Infinity;
        const gain = was === Infinity ? '' : ` Against the undamaged photo: ${was.toFixed(1)} dB before, ${psnr(after, photo).toFixed(1)} dB after (more is better).`;
        status.say(`Restored in ${seconds} s.${gain}`);
      } else if (mine === turn) {
        stage.classList.remove('done');
        status.say('Cancelled.');
      }
    } catch (e) {
      if (mine === turn) {
        stage.classList.remove('done');
        status.fail(e);
      }
    }
    running = undefined;
    switchTo(true, go);
    switchTo(false, stop);
  }

  function saveIt() {
    after.toBlob(blob => {
      const link = make('a', { href: URL.createObjectURL(blob), download: `${name}_restored.png` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    });
  }
  longest.addEventListener('change', () => source && fit());
  box.append(
    pictureSource(section, ['portrait.jpg'], use, status),
    make('fieldset', {}, make('legend', {}, 'Damage it first'), ...sliders,
      row(asIs, make('label', { class: 'live-choice' }, 'Longest side ', longest))),
    row(go, stop, save), status, stage, split);
}
