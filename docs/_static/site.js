// Sliders of saved widgets: a range input moves what its data-to names, "model:attribute model:attribute".
function moveWidget(input) {
  const box = input.closest('.l7-widget');
  for (const [model, attr] of input.dataset.to.split(' ').filter(Boolean).map(o => o.split(':'))) {
    const to = box.querySelector(`[data-w="${model}"]`);
    if (!to) continue;
    if (attr === 'selected_index') [...to.children].forEach((o, i) => o.hidden = i !== Number(input.value));
    else if (to.matches('input')) to.value = input.value;
    else to.textContent = input.value;
  }
  const shown = input.parentElement.querySelector('output');
  if (shown) shown.value = input.value;
}

// Whatever is folded opens when a link leads into it.
function openTarget() {
  const to = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!to) return;
  let shut = false;
  const near = to.matches('.api-anchor') ? [to, to.parentElement.nextElementSibling || to] : [to];
  for (const o of near) for (let d = o.closest('details'); d; d = d.parentElement.closest('details')) { shut = shut || !d.open; d.open = true; }
  if (shut) to.scrollIntoView();
}

document.addEventListener('DOMContentLoaded', () => {
  for (const o of document.querySelectorAll('.l7-widget input[type=range]')) {
    o.addEventListener('input', () => moveWidget(o));
    moveWidget(o);
  }
  for (const o of document.querySelectorAll('code.literal, .highlight')) o.translate = false;   // code is not prose
  for (const o of document.querySelectorAll('.article-container table')) {   // a wide table scrolls, the page does not
    if (o.closest('.table-wrapper')) continue;
    const wrap = document.createElement('div');
    wrap.className = 'table-wrapper';
    o.replaceWith(wrap);
    wrap.append(o);
  }
  if (location.protocol === 'file:') {   // browsers run no module from there: the still picture that is for readers without JavaScript
    for (const o of document.querySelectorAll('.live > noscript')) {
      o.outerHTML = o.textContent;
    }
  }
  openTarget();
});
window.addEventListener('hashchange', openTarget);
