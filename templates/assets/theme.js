// Before the page is drawn: the chosen theme, else the system's.
(() => {
  const chosen = localStorage.getItem('sluice-theme');
  const dark = window.matchMedia('(prefers-color-scheme: dark)');
  const apply = () => {
    document.documentElement.dataset.bsTheme = chosen ?? (dark.matches ? 'dark' : 'light');
  };
  apply();
  dark.addEventListener('change', apply);
})();
