// Draws every [data-chart] with uPlot: {x:[seconds], series:[{label, values}], unit, zone}. The table stands beside it.
(() => {
  const drawn = new Map();

  const draw = (box) => {
    drawn.get(box)?.destroy();
    const { x, series, unit, zone } = JSON.parse(box.dataset.chart);
    const style = getComputedStyle(document.documentElement);
    const text = style.getPropertyValue('--bs-body-color').trim();
    const grid = style.getPropertyValue('--bs-border-color').trim();
    const words = (more) => new Intl.DateTimeFormat('en-GB', { timeZone: zone, ...more });
    const [clock, date] = [
      words({ hour: '2-digit', minute: '2-digit' }),
      words({ day: 'numeric', month: 'short' }),
    ];
    const isDays = x.length > 1 && x[1] - x[0] >= 86400;
    const stamp = (seconds) => {
      const at = new Date(seconds * 1000);
      return isDays ? date.format(at) : `${clock.format(at)}, ${date.format(at)}`;
    };
    const ticks = (_, splits, __, ___, step) =>
      splits.map((seconds) => (step >= 86400 ? date : clock).format(new Date(seconds * 1000)));
    const axis = { stroke: text, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 } };
    const colours = ['--sluice-line-1', '--sluice-line-2', '--sluice-line-3'];
    const options = {
      width: Math.max(box.clientWidth, 200),
      height: 220,
      cursor: { y: false },
      // Times are the operator's, wherever the browser is.
      ...(zone === undefined ? {} : { tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), zone) }),
      scales: {
        // One point has no stretch of its own: an hour to each side, instead of years.
        x: { range: (_, low, high) => (low === high ? [low - 3600, high + 3600] : [low, high]) },
        y: { range: (_, low, high) => [Math.min(0, low), high <= 0 ? 1 : high * 1.1] },
      },
      axes: [
        { ...axis, values: ticks },
        { ...axis, label: unit, labelSize: 18, size: 60 },
      ],
      series: [
        { label: 'Time', value: (_, seconds) => (seconds == null ? '' : stamp(seconds)) },
        ...series.map((one, index) => ({
          label: one.label,
          stroke: style.getPropertyValue(colours[index % colours.length]).trim(),
          width: 2,
          value: (_, value) => (value == null ? '' : value.toLocaleString('en')),
          points: { show: x.length < 3 },
        })),
      ],
    };
    box.replaceChildren();
    drawn.set(box, new uPlot(options, [x, ...series.map((one) => one.values)], box));
  };

  const drawAll = () => {
    for (const box of document.querySelectorAll('[data-chart]')) draw(box);
  };
  document.addEventListener('DOMContentLoaded', drawAll);
  // Only what is new: a part that is renewed beside the charts must not make them flicker.
  document.addEventListener('htmx:afterSwap', () => {
    for (const box of drawn.keys()) {
      if (box.isConnected) continue;
      drawn.get(box).destroy();
      drawn.delete(box);
    }
    for (const box of document.querySelectorAll('[data-chart]')) if (!drawn.has(box)) draw(box);
  });
  document.addEventListener('sluice:theme', drawAll);
  let waiting;
  window.addEventListener('resize', () => {
    clearTimeout(waiting);
    waiting = setTimeout(drawAll, 150);
  });
})();
