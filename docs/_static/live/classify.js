// 08 and 09: classify a picture, and cover it place by place.

import { bars, bestOf, button, canvas, make, pen, percent, row, softmax, switchTo } from './parts.js';
import { ask, slider } from './common.js';
import { floats, pictureSource, resized } from './pictures.js';

export default function (section, box, model, status, card) {
  const [height, width] = card.size ?? card.trained_size ?? [32, 32];
  const view = canvas(width, height, { class: 'live-view live-pixels', role: 'img', 'aria-label': `the picture as the network sees it, ${width} by ${height} pixels` });
  const heat = canvas(width, height, { class: 'live-heat', role: 'img' }), caption = make('p', { class: 'live-hint live-caption' });
  const shares = bars('Probability of each class');
  const amount = slider('Heatmap', { min: 0, max: 100, value: 50, show: v => `${v} %` }, v => { heat.style.opacity = v / 100; });
  const which = make('select', { onchange: paint, disabled: true }, make('option', { value: '' }, 'the likeliest class'), ...card.classes.map((o, i) => make('option', { value: `${i}` }, o)));
  let awake = false, turn = 0;  // awake: has the network been used, so that the next picture may go through it at once?
  function forget() {
    turn++;
    shares.show(card.classes, card.classes.map(() => undefined));
    delete section.last;
    which.disabled = true;
    heat.hidden = true;
    caption.textContent = '';
    status.say('');
  }
  async function use({ image }) {
    const side = Math.min(image.width, image.height), square = canvas(side, side);
    pen(square).drawImage(image, (side - image.width) / 2, (side - image.height) / 2);
    pen(view).drawImage(resized(square, width, height), 0, 0);
    forget();
    if (awake) await look();
  }
  // What covering costs the class that is chosen, as colours; and how much it is where it costs most.
  function paint() {
    const { last } = section;
    if (!last?.heats) return;
    last.shown = which.value === '' ? bestOf(last.shares) : +which.value;
    const { values, fall } = last.heats[last.shown], name = card.classes[last.shown], whole = last.shares[last.shown];
    last.heat = values;
    const p = pen(heat), im = p.createImageData(width, height), { colours } = card.heatmap;
    values.forEach((v, i) => im.data.set([...colours[Math.round(v * (colours.length - 1))], 255], 4 * i));
    p.putImageData(im, 0, 0);
    heat.style.opacity = amount.input.value / 100;
    heat.setAttribute('aria-label', `heatmap of the class ${name}: red where a grey square over the picture costs it most`);
    caption.textContent = fall > 0 ?
      `A grey square has covered one place after the other; on the reddest one it brings ${name} from ${percent(whole)} to ${percent(whole * Math.exp(-fall))}.` :
      `A grey square has covered one place after the other, and made ${name} less likely on none.`;
    heat.hidden = false;
  }
  async function look() {
    const pixels = floats(view), shape = [3, height, width], mine = turn;
    awake = true;
    switchTo(false, go);
    try {
      const [{ data }] = await ask({ what: 'run', model, pixels, shape }, status);
      if (mine === turn) shares.show(card.classes, softmax(data));
      const heats = await ask({ what: 'cover', model, pixels, shape }, status);
      if (mine === turn) {
        const found = softmax(data), best = bestOf(found);
        section.last = { pixels, scores: data, shares: found, heats };
        which.disabled = false;
        paint();
        status.say(`${found[best] > 0.5 ? 'It sees' : 'It is not sure; first comes'} ${card.classes[best]}, with ${percent(found[best])}. It knows these ten classes only.`);
      }
    } catch (e) {
      if (mine === turn) status.fail(e);
    }
    switchTo(true, go);
  }
  const go = button('What is it?', look, { class: 'go' });
  box.append(pictureSource(section, ['object_0.png', 'object_1.png', 'object_2.png'], use, status),
    make('div', { class: 'live-two' }, make('div', {}, make('div', { class: 'live-over' }, view, heat), row(go)), shares),
    status, row(amount, make('label', { class: 'live-choice' }, 'Where is ', which)), caption);
  forget();
}
