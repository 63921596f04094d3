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

  document.addEventListener('click', (event) => {
    const button = event.target instanceof Element ? event.target.closest('[data-theme-switch]') : null;
    if (button === null) return;
    const next = document.documentElement.dataset.bsTheme === 'dark' ? 'light' : 'dark';
    localStorage.setItem('sluice-theme', next);
    document.documentElement.dataset.bsTheme = next;
    document.dispatchEvent(new Event('sluice:theme'));
  });
})();
