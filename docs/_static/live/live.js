// Live cells: the lessons' networks in the reader's browser. A page has the frames (docs/live.py writes them); this module fills
// them. The networks run in one worker, which is started by the first question. Each section keeps what went in and what came out
// in its `last`: for the curious, and for the test.

const here = new URL('.', import.meta.url);

// ---- the worker

let worker, asked = 0;
const waiting = new Map();  // id of a question -> {resolve, reject, progress, part}

function ask(question, { progress, part } = {}) {
  if (!worker) {
    worker = new Worker(new URL('worker.js', here), { type: 'module' });
    worker.onmessage = ({ data: o }) => {
      const q = waiting.get(o.id);
      if (o.progress) q?.progress?.(o.progress);
      if (o.part) q?.part?.(o.part);
      if ('answer' in o || 'error' in o) waiting.delete(o.id);
      if ('answer' in o) q?.resolve(o.answer);
      if ('error' in o) q?.reject(new Error(o.error));
    };
    worker.onerror = e => {
      for (const q of waiting.values()) q.reject(new Error(`this browser could not start the runtime (${e.message ?? 'no reason given'})`));
      waiting.clear();
      worker = undefined;
    };
  }
  const id = ++asked;
  const answer = new Promise((resolve, reject) => waiting.set(id, { resolve, reject, progress, part }));
  worker.postMessage({ id, ...question });
  const cancel = () => {
    worker?.postMessage({ cancel: id });
    waiting.get(id)?.resolve(null);
    waiting.delete(id);
  };
  return Object.assign(answer, { cancel });
}

// ---- small parts that cells are made of

function make(tag, attributes = {}, ...children) {
  const o = document.createElement(tag);
  for (const [k, v] of Object.entries(attributes)) {
    if (k in o && typeof v !== 'string') o[k] = v;
    else if (v !== undefined) o.setAttribute(k, v);
  }
  o.append(...children.flat());
  return o;
}

const button = (text, onclick, more = {}) => make('button', { type: 'button', onclick, ...more }, text);
const row = (...children) => make('div', { class: 'live-row' }, ...children);
const percent = p => p > 0.9995 ? '100 %' : p >= 0.0995 ? `${Math.round(100 * p)} %` : `${(100 * p).toFixed(1)} %`;

function slider(label, { min, max, step = 1, value, show = String }, oninput) {
  const shown = make('span', { class: 'live-value', 'aria-hidden': 'true' });  // aria-valuetext says it
  const input = make('input', { type: 'range', min: `${min}`, max: `${max}`, step: `${step}`, value: `${value}`, 'aria-label': label });
  const tell = () => {
    shown.textContent = show(+input.value);
    input.setAttribute('aria-valuetext', shown.textContent);
  };
  input.addEventListener('input', () => {
    tell();
    oninput?.(+input.value);
  });
  tell();
  return Object.assign(make('label', { class: 'live-slider' }, make('span', { 'aria-hidden': 'true' }, label), input, shown), { input });
}

// Names and shares, the largest marked.
function bars(label) {
  const box = make('ol', { class: 'live-bars', 'aria-label': label });
  box.show = (names, shares) => {
    const top = shares.indexOf(Math.max(...shares));
    box.replaceChildren(...names.map((name, i) => {
      const bar = make('span', { class: 'live-bar', 'aria-hidden': 'true' });
      bar.style.setProperty('--share', shares[i] || 0);
      return make('li', { class: i === top && shares[i] ? 'top' : '' }, make('span', { class: 'live-name' }, name), bar,
        make('span', { class: 'live-share' }, shares[i] === undefined ? '' : percent(shares[i])));
    }));
  };
  return box;
}

function softmax(scores, temperature = 1) {
  const top = Math.max(...scores), e = Array.from(scores, o => Math.exp((o - top) / temperature)), sum = e.reduce((a, b) => a + b);
  return e.map(o => o / sum);
}

// The line under a cell that says what goes on, with a bar while something is loaded or computed.
function statusLine() {
  const text = make('span', { role: 'status', 'aria-live': 'polite' }), bar = make('progress', { max: 1, hidden: true, 'aria-label': 'done' });
  const o = make('div', { class: 'live-status' }, text, bar);
  o.say = (words, bad = false) => {
    text.textContent = words;
    text.classList.toggle('bad', bad);
    bar.hidden = true;
  };
  o.progress = ({ what, share }) => {
    if (text.textContent !== what) text.textContent = what;
    text.classList.remove('bad');
    bar.hidden = false;
    bar.value = share;
  };
  o.fail = e => o.say(`That went wrong: ${e.message}.`, true);
  return o;
}

// ---- pictures

function canvas(width, height, more = {}) {
  return make('canvas', { width, height, ...more });
}

const pen = (c, more) => c.getContext('2d', { willReadFrequently: true, ...more });
const pixelsOf = c => pen(c).getImageData(0, 0, c.width, c.height);

// A picture at another size. Halved as long as possible, so that no pixel is skipped.
function resized(from, width, height) {
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
function floats(c, channels = 3) {
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
function pictureSource(box, samples, use, status) {
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

// ---- 01: draw a digit

// Strokes as a digit of MNIST: the longer side of the ink is 20 of 28 pixels, its centre of mass is in the middle.
function asDigit(strokes) {
  const points = strokes.flat(), xs = points.map(p => p[0]), ys = points.map(p => p[1]);
  const [left, top] = [Math.min(...xs), Math.min(...ys)], [wide, high] = [Math.max(...xs) - left, Math.max(...ys) - top];
  const fine = 8, thick = 2.4, big = canvas(28 * fine, 28 * fine), p = pen(big);
  const zoom = Math.min((20 - thick) / Math.max(wide, high, 1e-6), 28 / 280 * 4);  // a dot stays a small thing
  const draw = (dx, dy) => {
    p.setTransform(1, 0, 0, 1, 0, 0);
    p.fillRect(0, 0, big.width, big.height);
    p.setTransform(fine, 0, 0, fine, dx * fine, dy * fine);
    p.lineWidth = thick;
    p.lineCap = p.lineJoin = 'round';
    p.strokeStyle = '#fff';
    for (const stroke of strokes) {
      p.beginPath();
      stroke.forEach(([x, y]) => p.lineTo((x - left - wide / 2) * zoom, (y - top - high / 2) * zoom));
      if (stroke.length === 1) p.lineTo((stroke[0][0] - left - wide / 2) * zoom + 0.01, (stroke[0][1] - top - high / 2) * zoom);
      p.stroke();
    }
    const { data } = pixelsOf(big), out = new Float32Array(28 * 28);
    for (let y = 0; y < big.height; y++) for (let x = 0; x < big.width; x++)
      out[Math.floor(y / fine) * 28 + Math.floor(x / fine)] += data[4 * (y * big.width + x)] / 255 / fine ** 2;
    return out;
  };
  const ink = draw(14, 14), sum = ink.reduce((a, b) => a + b, 0) || 1;
  const mean = f => ink.reduce((a, v, i) => a + v * f(i), 0) / sum;
  return draw(14 + 13.5 - mean(i => i % 28), 14 + 13.5 - mean(i => Math.floor(i / 28)));
}

function paintGrey(c, values, low = 0, high = 1) {
  const p = pen(c), im = p.createImageData(c.width, c.height);
  values.forEach((v, i) => im.data.set([...Array(3).fill(255 * (v - low) / (high - low || 1)), 255], 4 * i));
  p.putImageData(im, 0, 0);
}

// The maps of a network's blocks as small grey pictures, each from its darkest to its brightest number.
function showMaps(box, outputs, most = 32) {
  box.replaceChildren(...outputs.filter(o => o.dims.length === 4 && o.dims[3] > 3).map(({ dims: [, n, h, w], data }, i) => {
    const label = `Block ${i + 1}: ${n > most ? `${most} of ` : ''}${n} maps, ${h}×${w}`;
    const all = make('div', { class: 'live-map-row', role: 'img', 'aria-label': label });
    for (let k = 0; k < Math.min(n, most); k++) {
      const one = data.slice(k * h * w, (k + 1) * h * w), c = canvas(w, h);
      paintGrey(c, one, one.reduce((a, b) => Math.min(a, b)), one.reduce((a, b) => Math.max(a, b)));
      all.append(c);
    }
    return make('figure', {}, make('figcaption', {}, label), all);
  }));
}

function digitCell(section, box, model, status) {
  const side = 280, nothing = Array(10).fill(undefined), names = [...'0123456789'];
  const field = canvas(side, side, {
    class: 'live-draw', tabIndex: 0, role: 'application',
    'aria-label': 'Drawing field. Draw a digit with mouse or finger; or move the pen with the arrow keys, put it down and lift it with the space bar, ' +
      'take a stroke back with Backspace, clear with Delete.',
  });
  const small = canvas(28, 28, { class: 'live-small', role: 'img', 'aria-label': 'the digit as the network sees it, 28 by 28 pixels' });
  const shares = bars('Probability of each digit'), maps = make('div', { class: 'live-maps' });
  const p = pen(field);
  let strokes = [], at = [side / 2, side / 4], down = false, keys = false, timer, running = false, again = false;

  function paint() {
    p.fillStyle = '#10131a';
    p.fillRect(0, 0, side, side);
    p.strokeStyle = '#fff';
    p.lineWidth = 20;
    p.lineCap = p.lineJoin = 'round';
    for (const stroke of strokes) {
      p.beginPath();
      stroke.forEach(o => p.lineTo(...o));
      if (stroke.length === 1) p.lineTo(stroke[0][0] + 0.01, stroke[0][1]);
      p.stroke();
    }
    if (!strokes.length && !keys) {
      p.fillStyle = '#8b95a5';
      p.font = '17px sans-serif';
      p.textAlign = 'center';
      p.fillText('Draw a digit here', side / 2, side / 2);
    }
    if (keys && document.activeElement === field) {  // where the pen of the keyboard is
      p.beginPath();
      p.arc(...at, 10, 0, 7);
      p.lineWidth = 2;
      p.strokeStyle = p.fillStyle = '#7fb2ff';
      down ? p.fill() : p.stroke();
    }
  }

  async function look() {
    if (running) return void (again = true);
    running = true;
    do {
      again = false;
      if (!strokes.length) break;
      const pixels = asDigit(strokes);
      paintGrey(small, pixels);
      try {
        const [scores, ...more] = await ask({ what: 'run', model, pixels, shape: [1, 28, 28] }, status);
        const found = softmax(scores.data), best = found.indexOf(Math.max(...found));
        section.last = { pixels, scores: scores.data, shares: found };
        if (!strokes.length) break;
        shares.show(names, found);
        showMaps(maps, more);
        status.say(found[best] > 0.5 ? `It reads ${best}, with ${percent(found[best])}.` : `It is not sure: ${best}, with ${percent(found[best])}.`);
      } catch (e) {
        status.fail(e);
      }
    } while (again);
    running = false;
  }

  const soon = () => { clearTimeout(timer); timer = setTimeout(look, 120); };
  function clear() {
    strokes = [];
    down = false;
    delete section.last;
    shares.show(names, nothing);
    maps.replaceChildren();
    pen(small).clearRect(0, 0, 28, 28);
    status.say('');
    paint();
  }
  function undo() {
    strokes.pop();
    down = false;
    if (!strokes.length) return clear();
    paint();
    soon();
  }

  const place = e => {
    const r = field.getBoundingClientRect();
    return [(e.clientX - r.left) * side / r.width, (e.clientY - r.top) * side / r.height];
  };
  field.addEventListener('pointerdown', e => {
    if (e.button) return;
    field.setPointerCapture(e.pointerId);
    keys = false;
    down = false;
    strokes.push([place(e)]);
    paint();
  });
  field.addEventListener('pointermove', e => {
    if (!field.hasPointerCapture(e.pointerId)) return;
    strokes.at(-1)?.push(...(e.getCoalescedEvents?.() ?? [e]).map(place), place(e));
    paint();
  });
  field.addEventListener('pointerup', soon);
  field.addEventListener('pointercancel', soon);
  field.addEventListener('focus', () => { keys = field.matches(':focus-visible'); paint(); });
  field.addEventListener('blur', () => { down = false; paint(); });
  field.addEventListener('keydown', e => {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[e.key];
    if (!move && ![' ', 'Backspace', 'Delete'].includes(e.key)) return;
    e.preventDefault();
    e.stopPropagation();  // the arrow keys turn the site's pages elsewhere
    keys = true;
    if (move) {
      at = at.map((v, i) => Math.max(10, Math.min(side - 10, v + 10 * move[i])));
      if (down) strokes.at(-1).push([...at]);
    }
    if (e.key === ' ' && (down = !down)) strokes.push([[...at]]);
    if (e.key === 'Delete') return clear();
    if (e.key === 'Backspace') return undo();
    paint();
    if (strokes.length && (down || e.key === ' ')) soon();
  });
  shares.show(names, nothing);
  paint();
  box.append(
    make('div', { class: 'live-two' },
      make('div', {}, field, row(button('Clear', clear), button('Take back a stroke', undo))),
      make('div', {}, shares, make('figure', { class: 'live-seen' }, small, make('figcaption', {}, 'what the network sees')))),
    status, maps);
}

// ---- 02: a class for every pixel

function streetCell(section, box, model, status, card) {
  const view = canvas(4, 3, { class: 'live-view', role: 'img', 'aria-label': 'the picture, with the classes laid over it' });
  const legend = make('ul', { class: 'live-legend', 'aria-label': 'Classes and their share of the picture' });
  let picture, overlay;
  const amount = slider('Overlay', { min: 0, max: 100, value: 55, show: v => `${v} %` }, paint);
  const go = button('Find the classes', find, { class: 'go' });

  // The network's size has the same number of pixels as in training, and the picture's shape.
  function netSize(w, h) {
    const [height, width] = card.size ?? card.trained_size ?? [120, 160], m = card.multiple ?? 1;
    if (card.inputs[0].shape[2]) return [width, height];
    const zoom = Math.sqrt(height * width / (h * w)), fit = n => Math.max(m, Math.round(n * zoom / m) * m);
    return [fit(w), fit(h)];
  }

  function use({ image }) {
    const zoom = Math.min(1, 640 / Math.max(image.width, image.height)), grow = Math.max(1, Math.round(480 / image.width) || 1);
    picture = resized(image, ...[image.width, image.height].map(n => Math.max(1, Math.round(n * (zoom < 1 ? zoom : Math.min(grow, 3))))));
    overlay = undefined;
    picture.small = resized(image, ...netSize(image.width, image.height));
    legend.replaceChildren();
    delete section.last;
    status.say('');
    paint();
  }

  function paint() {
    [view.width, view.height] = [picture.width, picture.height];
    const p = pen(view);
    p.drawImage(picture, 0, 0);
    if (!overlay) return;
    p.globalAlpha = amount.input.value / 100;
    p.imageSmoothingEnabled = false;
    p.drawImage(overlay, 0, 0, view.width, view.height);
    p.globalAlpha = 1;
  }

  async function find() {
    if (!picture) return;
    const { small } = picture, { width, height } = small, pixels = floats(small), n = width * height;
    go.disabled = true;
    try {
      const t = performance.now();
      const [{ data }] = await ask({ what: 'run', model, pixels, shape: [3, height, width] }, status);
      const k = data.length / n, classes = new Uint8Array(n), count = Array(k).fill(0);
      for (let i = 0; i < n; i++) {
        let best = 0;
        for (let c = 1; c < k; c++) if (data[c * n + i] > data[best * n + i]) best = c;
        classes[i] = best;
        count[best]++;
      }
      section.last = { pixels, width, height, scores: data, classes };
      overlay = canvas(width, height);
      const im = pen(overlay).createImageData(width, height);
      classes.forEach((c, i) => im.data.set([...card.colours[c], 255], 4 * i));
      pen(overlay).putImageData(im, 0, 0);
      paint();
      const order = count.map((_, c) => c).filter(c => count[c]).sort((a, b) => count[b] - count[a]);
      legend.replaceChildren(...order.map(c => {
        const patch = make('span', { class: 'live-patch', 'aria-hidden': 'true' });
        patch.style.background = `rgb(${card.colours[c]})`;
        return make('li', {}, patch, `${card.classes[c]} `, make('span', { class: 'live-share' }, percent(count[c] / n)));
      }));
      status.say(`${order.length} classes on ${width}×${height} pixels in ${((performance.now() - t) / 1000).toFixed(1)} s; most of it is ${card.classes[order[0]]}.`);
    } catch (e) {
      status.fail(e);
    }
    go.disabled = false;
  }
  box.append(pictureSource(section, ['street_0.jpg', 'street_1.jpg', 'street_2.jpg'], use, status), view, row(go, amount), status, legend);
}

// ---- 03 and 04: a photo is damaged and restored

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

function photoCell(section, box, model, status) {
  const before = canvas(4, 3), after = canvas(4, 3, { class: 'live-after' });
  const stage = make('div', { class: 'live-stage', role: 'img', 'aria-label': 'the photo: damaged at the left, restored at the right' }, before, after);
  const split = slider('Before | after', { min: 0, max: 100, value: 50, show: v => `${v} %` }, v => stage.style.setProperty('--split', `${v}%`));
  const go = button('Restore', restore, { class: 'go' }), stop = button('Cancel', () => running?.cancel(), { disabled: true });
  const save = button('Save as PNG', saveIt, { disabled: true });
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
    save.disabled = true;
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
    [go.disabled, stop.disabled] = [true, false];
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
        save.disabled = false;
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
    [go.disabled, stop.disabled] = [false, true];
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

// ---- texts

// Scores in which no token is left that must never be chosen.
function allowed(scores, card) {
  const res = Array.from(scores);
  for (const i of card.never ?? []) res[i] = -Infinity;
  return res;
}

// ---- 05: count on

const ones = ('one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen').split(' ');
const tens = 'twenty thirty forty fifty sixty seventy eighty ninety'.split(' ');

function numberWords(n) {
  if (n >= 1000) return `${ones[Math.floor(n / 1000) - 1]} thousand ${numberWords(n % 1000)}`.trim();
  if (n >= 100) return `${ones[Math.floor(n / 100) - 1]} hundred ${numberWords(n % 100)}`.trim();
  if (n >= 20) return `${tens[Math.floor(n / 10) - 2]} ${numberWords(n % 10)}`.trim();
  return n ? ones[n - 1] : '';
}

const wait = ms => new Promise(done => setTimeout(done, ms));
const bestOf = shares => shares.reduce((best, p, i) => p > shares[best] ? i : best, 0);

function countCell(section, box, model, status, card) {
  const input = make('input', { type: 'number', min: '3', max: '9988', value: '2017', inputMode: 'numeric' });
  const text = make('div', { class: 'live-text', role: 'log', 'aria-live': 'off', 'aria-label': 'the numbers' });
  const shares = bars('Probability of the next word');
  const step = button('Next word', () => go(1)), many = button('Count on', () => go(Infinity), { class: 'go' });
  const stop = button('Stop', () => { left = 0; }, { disabled: true });
  let said, next, start, left = 0;  // said: words of the model; next: probabilities of the word to come

  const known = words => words.map(w => {
    const i = card.vocab.indexOf(w);
    if (i < 0) throw new Error(`the network does not know the word ${w}`);
    return i;
  });
  async function read(tokens, fresh) {
    const scores = await ask({ what: 'read', model, tokens, fresh }, status);
    next = softmax(allowed(scores, card));
    section.last = { tokens: fresh ? tokens : [...section.last.tokens, ...tokens], given: fresh ? tokens.length : section.last.given, scores };
    const order = next.map((_, i) => i).sort((a, b) => next[b] - next[a]).slice(0, 6);
    shares.show(order.map(i => card.vocab[i]), order.map(i => next[i]));
    status.say('');
  }

  // What the model has said, number by number, each marked once it is complete.
  function show() {
    const numbers = said.join(' ').split(' , '), whole = said.at(-1) === ',' ? numbers.length : numbers.length - 1;
    text.replaceChildren(...[start - 2, start - 1, start].map(n => make('span', { class: 'given' }, `${numberWords(n)}, `)),
      ...numbers.map((words, i) => {
        const done = i < whole, clean = words.replace(/ ?,$/, ''), right = clean === numberWords(start + 1 + i);
        return make('span', { class: done ? right ? 'right' : 'wrong' : 'open' }, clean + (done ? right ? ' ✓, ' : ` ✗ (${start + 1 + i}), ` : ' '));
      }));
    return { whole, right: numbers.slice(0, whole).filter((o, i) => o.replace(/ ?,$/, '') === numberWords(start + 1 + i)).length };
  }

  async function begins() {
    const n = +input.value;
    if (!Number.isInteger(n) || n < 3 || n > 9988)
      throw new Error(`${input.value || 'nothing'} is not a whole number from 3 to 9988: three numbers are read before, ten counted after it`);
    start = n;
    said = [];
    const given = [n - 2, n - 1, n].map(numberWords).join(' , ').split(' ').concat(',');
    await read(known([...card.begin ?? [], ...given]), true);
    show();
  }
  async function go(n) {
    if (left) return;
    left = Math.min(n, 100);  // ten numbers have fewer words
    [step.disabled, many.disabled, stop.disabled] = [true, true, n === 1];
    try {
      if (!said) await begins();
      let score = show();
      for (const until = score.whole + 10; left > 0 && score.whole < until; left--) {
        const word = bestOf(next);
        said.push(card.vocab[word]);
        score = show();
        await read([word], false);
        if (n > 1) await wait(90);
      }
      status.say(score.whole ? `${score.right} of ${score.whole} numbers right.` : n > 1 ? 'No number is finished.' : '');
    } catch (e) {
      status.say(`${e.message}.`, true);
    }
    left = 0;
    [step.disabled, many.disabled, stop.disabled] = [false, false, true];
  }
  function again() {
    left = 0;
    said = undefined;
    delete section.last;
    text.replaceChildren();
    shares.show([], []);
    status.say('');
  }
  input.addEventListener('input', again);
  input.addEventListener('keydown', e => e.key === 'Enter' && go(Infinity));
  box.append(row(make('label', { class: 'live-choice' }, 'Count on from ', input), many, step, stop, button('From the start', again)), status, text, shares);
}

// ---- 07: continue a text

function writeCell(section, box, model, status, card) {
  const prompt = make('textarea', { rows: 2, spellcheck: false, 'aria-label': 'How the text begins' });
  prompt.value = 'The love of truth is ';
  const text = make('div', { class: 'live-text live-book', role: 'log', 'aria-live': 'off', 'aria-label': 'the text' });
  const heat = slider('Temperature', { min: 0, max: 1.5, step: 0.05, value: 0.7, show: v => v.toFixed(2) });
  const go = button('Write', write, { class: 'go' }), stop = button('Stop', () => { stopped = true; }, { disabled: true });
  let stopped = false;
  const draw = scores => {
    const t = +heat.input.value;
    if (!t) return bestOf(scores);
    let u = Math.random();
    const shares = softmax(scores, t);
    const i = shares.findIndex(p => (u -= p) < 0);
    return i < 0 ? bestOf(shares) : i;
  };
  async function write() {
    const begins = [...card.lower ? prompt.value.toLowerCase() : prompt.value];
    const unknown = [...new Set(begins)].filter(c => !card.vocab.includes(c));
    if (!begins.length) return status.say('Write a few words first: the network continues them.', true);
    if (unknown.length) return status.say(`The network has never read ${unknown.map(c => `“${c}”`).join(', ')}: leave it out.`, true);
    stopped = false;
    [go.disabled, stop.disabled] = [true, false];
    const written = make('span', { class: 'written' });
    text.replaceChildren(make('span', { class: 'given' }, begins.join('')), written);
    let tokens = [...card.begin ?? [], ...begins].map(c => card.vocab.indexOf(c)), fresh = true;
    section.last = { tokens: [...tokens], scores: [] };
    try {
      for (let n = 0; n < 300 && !stopped; n++) {
        const scores = await ask({ what: 'read', model, tokens, fresh }, status), token = draw(allowed(scores, card));
        section.last.scores.push(scores);
        section.last.tokens.push(token);
        written.append(card.vocab[token].length === 1 ? card.vocab[token] : '');
        [tokens, fresh] = [[token], false];
        if (!n) status.say('Writing…');
        if (n % 4 === 0) await wait(16);
      }
      status.say(stopped ? 'Stopped.' : 'Three hundred characters.');
    } catch (e) {
      status.fail(e);
    }
    [go.disabled, stop.disabled] = [false, true];
  }
  box.append(make('label', { class: 'live-choice' }, 'The text begins', prompt), row(go, stop, heat), status, text);
}

// ---- 08: classify a picture

function classifyCell(section, box, model, status, card) {
  const [height, width] = card.size ?? card.trained_size ?? [32, 32];
  const view = canvas(width, height, { class: 'live-view live-pixels', role: 'img', 'aria-label': `the picture as the network sees it, ${width} by ${height} pixels` });
  const heat = canvas(width, height, { class: 'live-heat', role: 'img' });
  const shares = bars('Probability of each class'), maps = make('div', { class: 'live-maps' });
  const amount = slider('Heatmap', { min: 0, max: 100, value: 50, show: v => `${v} %` }, v => { heat.style.opacity = v / 100; });
  const which = make('select', { onchange: paint, disabled: true }, make('option', { value: '' }, 'the likeliest class'), ...card.classes.map((o, i) => make('option', { value: `${i}` }, o)));
  let awake = false;  // has the network been used, so that the next picture may go through it at once?
  function forget() {
    shares.show(card.classes, card.classes.map(() => undefined));
    maps.replaceChildren();
    delete section.last;
    which.disabled = true;
    heat.hidden = true;
    status.say('');
  }
  async function use({ image }) {
    const side = Math.min(image.width, image.height), square = canvas(side, side);
    pen(square).drawImage(image, (side - image.width) / 2, (side - image.height) / 2);
    pen(view).drawImage(resized(square, width, height), 0, 0);
    forget();
    if (awake) await look();
  }
  // Where the network finds the class that is chosen.
  function paint() {
    const { last } = section;
    if (!last?.heats) return;
    last.shown = which.value === '' ? bestOf(last.shares) : +which.value;
    last.heat = last.heats[last.shown].values;
    const p = pen(heat), im = p.createImageData(width, height), { colours } = last;
    last.heat.forEach((v, i) => im.data.set([...colours[Math.round(v * (colours.length - 1))], 255], 4 * i));
    p.putImageData(im, 0, 0);
    heat.style.opacity = amount.input.value / 100;
    heat.setAttribute('aria-label', `heatmap of the class ${card.classes[last.shown]}: red where it is found, blue where it is not`);
    heat.hidden = false;
  }
  async function look() {
    const pixels = floats(view);
    awake = go.disabled = true;
    try {
      const [{ data, heat: heats, colours }, ...more] = await ask({ what: 'run', model, pixels, shape: [3, height, width] }, status);
      const found = softmax(data), best = bestOf(found);
      showMaps(maps, more);
      section.last = { pixels, scores: data, shares: found, heats, colours };
      shares.show(card.classes, found);
      which.disabled = !heats;
      paint();
      const cells = heats ? ` The heatmap has ${heats[0].places.join('×')} places, red where the class is found.` : '';
      status.say(`${found[best] > 0.5 ? 'It sees' : 'It is not sure; first comes'} ${card.classes[best]}, with ${percent(found[best])}. It knows these ten classes only.${cells}`);
    } catch (e) {
      status.fail(e);
    }
    go.disabled = false;
  }
  const go = button('What is it?', look, { class: 'go' });
  box.append(pictureSource(section, ['object_0.png', 'object_1.png', 'object_2.png'], use, status),
    make('div', { class: 'live-two' }, make('div', {}, make('div', { class: 'live-over' }, view, heat), row(go)), shares),
    row(amount, make('label', { class: 'live-choice' }, 'Where is ', which)), status, maps);
  forget();
}

// ---- every frame of the page gets its cell

const cells = { digits: digitCell, streets: streetCell, photo: photoCell, count: countCell, nietzsche: writeCell, cifar10: classifyCell };

for (const section of document.querySelectorAll('.live[data-cell]')) {
  const box = make('div', { class: 'live-body' }), status = statusLine(), card = JSON.parse(section.querySelector('script[type="application/json"]').textContent);
  section.querySelector('noscript').replaceWith(box);
  cells[section.dataset.cell](section, box, section.dataset.cell, status, card);
  section.classList.add('ready');
}
