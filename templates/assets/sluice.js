// What pages do beyond plain HTML. Everything works without it but live updates and shortcuts.
(() => {
  // "/" goes to the search field from anywhere but another field.
  document.addEventListener('keydown', (event) => {
    const target = event.target;
    const isTyping = target instanceof HTMLElement && target.closest('input, textarea, select, [contenteditable]');
    if (event.key !== '/' || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    const field = document.getElementById('search');
    if (field === null) return;
    event.preventDefault();
    field.focus();
    field.select();
  });

  // Below the search field: arrows walk what was found so far, Escape puts it away.
  document.addEventListener('keydown', (event) => {
    const form = event.target instanceof Element ? event.target.closest('form.search') : null;
    const list = form === null ? null : form.querySelector('#suggestions');
    const field = document.getElementById('search');
    if (list === null || field === null) return;
    if (event.key === 'Escape') {
      list.replaceChildren();
      field.focus();
      return;
    }
    if (event.key !== 'ArrowDown' && event.key !== 'ArrowUp') return;
    const stops = [field, ...list.querySelectorAll('a')];
    const next = stops.indexOf(document.activeElement) + (event.key === 'ArrowDown' ? 1 : -1);
    if (stops.length < 2) return;
    event.preventDefault();
    stops[(next + stops.length) % stops.length].focus();
  });
  document.addEventListener('click', (event) => {
    const list = document.getElementById('suggestions');
    if (list !== null && event.target instanceof Element && event.target.closest('form.search') === null)
      list.replaceChildren();
  });

  // The bar at the foot of a phone is longer than the phone: where one is stands in sight.
  document.querySelector('.bottom-bar [aria-current]')?.scrollIntoView({ inline: 'center', block: 'nearest' });

  // A form says that it is at work, and is not sent twice by an impatient second click.
  document.addEventListener('submit', (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || event.defaultPrevented) return;
    if (form.dataset.sent === 'yes') {
      event.preventDefault();
      return;
    }
    form.dataset.sent = 'yes';
    window.setTimeout(() => delete form.dataset.sent, 4000);
  });
  window.addEventListener('pageshow', () => {
    for (const form of document.querySelectorAll('form[data-sent]')) delete form.dataset.sent;
  });

  // Ticks all rows of a list at once.
  document.addEventListener('change', (event) => {
    const box = event.target;
    if (!(box instanceof HTMLInputElement) || box.dataset.all === undefined) return;
    for (const one of document.querySelectorAll(`input[type=checkbox][name="${box.dataset.all}"]`)) {
      one.checked = box.checked;
    }
  });

  // A live part that holds a tick waits with its update: rows must not move under somebody's hand.
  document.addEventListener('htmx:beforeRequest', (event) => {
    const part = event.target;
    if (!(part instanceof Element) || part.dataset.waitsForTicks === undefined) return;
    if (part.querySelector('input[type=checkbox]:checked') !== null) event.preventDefault();
  });

  // What somebody opened stays open when its part is renewed.
  let opened = [];
  document.addEventListener('htmx:beforeSwap', () => {
    opened = [...document.querySelectorAll('details[id][open]')].map((one) => one.id);
  });
  document.addEventListener('htmx:afterSwap', () => {
    for (const id of opened) document.getElementById(id)?.setAttribute('open', '');
  });

  document.addEventListener('click', (event) => {
    const button = event.target instanceof Element ? event.target.closest('[data-theme-switch]') : null;
    if (button === null) return;
    const next = document.documentElement.dataset.bsTheme === 'dark' ? 'light' : 'dark';
    localStorage.setItem('sluice-theme', next);
    document.documentElement.dataset.bsTheme = next;
    document.dispatchEvent(new Event('sluice:theme'));
  });
})();
