// 02: a class for every pixel.

import { button, canvas, make, pen, percent, row, switchTo } from './parts.js';
import { ask, slider } from './common.js';
import { floats, pictureSource, resized } from './pictures.js';

export default function (section, box, model, status, card) {
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
    const asked = picture, { small } = asked, { width, height } = small, pixels = floats(small), n = width * height;
    switchTo(false, go);
    try {
      const t = performance.now();
      const [{ data }] = await ask({ what: 'run', model, pixels, shape: [3, height, width] }, status);
      if (asked !== picture) return;  // another was chosen meanwhile
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
    } finally {
      switchTo(true, go);
    }
  }
  box.append(pictureSource(section, ['street_0.jpg', 'street_1.jpg', 'street_2.jpg'], use, status), view, row(go, amount), status, legend);
}
