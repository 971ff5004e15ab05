// 07: continue a text.

import { allowed, bestOf, button, make, row, softmax, switchTo, wait } from './parts.js';
import { ask, slider } from './common.js';

export default function (section, box, model, status, card) {
  const prompt = make('textarea', { rows: 2, spellcheck: false, 'aria-label': 'How the text begins' });
  prompt.value = 'The love of truth is ';
  const text = make('div', { class: 'live-text live-book', role: 'log', 'aria-live': 'off', 'aria-label': 'the text' });
  const heat = slider('Temperature', { min: 0, max: 1.5, step: 0.05, value: 0.7, show: v => v.toFixed(2) });
  const go = button('Write', write, { class: 'go' }), stop = button('Stop', () => { stopped = true; }, { off: true });
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
    switchTo(false, go);
    switchTo(true, stop);
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
    switchTo(true, go);
    switchTo(false, stop);
  }
  box.append(make('label', { class: 'live-choice' }, 'The text begins', prompt), row(go, stop, heat), status, text);
}
