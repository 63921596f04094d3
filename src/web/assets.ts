import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import type { Express } from 'express';

/** Files that pages may load, by name: from named packages and from templates/assets. Nothing else is served. */
const files: Record<string, string> = {
  'bootstrap.css': 'node_modules/bootstrap/dist/css/bootstrap.min.css',
  'bootstrap.js': 'node_modules/bootstrap/dist/js/bootstrap.bundle.min.js',
  'htmx.js': 'node_modules/htmx.org/dist/htmx.min.js',
  'uplot.css': 'node_modules/uplot/dist/uPlot.min.css',
  'uplot.js': 'node_modules/uplot/dist/uPlot.iife.min.js',
  'sluice.css': 'templates/assets/sluice.css',
  'theme.js': 'templates/assets/theme.js',
  'sluice.js': 'templates/assets/sluice.js',
  'charts.js': 'templates/assets/charts.js',
  'icon.svg': 'templates/assets/icon.svg',
};

const types: Record<string, string> = {
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

export interface Assets {
  /** The path of a file with its hash in it, so that it can be cached for ever. Throws for a name that is not listed. */
  url(name: string): string;
  /** An icon of bootstrap-icons as SVG text. Throws for one that does not exist. */
  icon(name: string): string;
  mount(app: Express): void;
}

export function loadAssets(root: string): Assets {
  const loaded = new Map(
    Object.entries(files).map(([name, path]) => {
      const body = readFileSync(join(root, path));
      const hash = createHash('sha256').update(body).digest('hex').slice(0, 12);
      const [stem, extension] = [name.slice(0, -extname(name).length), extname(name)];
      return [
        name,
        { body, url: `/assets/${stem}.${hash}${extension}`, type: types[extension] ?? '' },
      ] as const;
    }),
  );
  const icons = new Map<string, string>();
  return {
    url(name) {
      const asset = loaded.get(name);
      if (asset === undefined) throw new RangeError(`no asset ${name}`);
      return asset.url;
    },
    icon(name) {
      if (!/^[a-z0-9-]+$/.test(name)) throw new RangeError('no such icon');
      const known = icons.get(name);
      if (known !== undefined) return known;
      const path = join(root, 'node_modules/bootstrap-icons/icons', `${name}.svg`);
      const svg = readFileSync(path, 'utf8').replace('<svg ', '<svg aria-hidden="true" focusable="false" ');
      icons.set(name, svg);
      return svg;
    },
    mount(app) {
      for (const { url, body, type } of loaded.values()) {
        app.get(url, (_request, response) => {
          response.set({ 'Content-Type': type, 'Cache-Control': 'public, max-age=31536000, immutable' });
          response.send(body);
        });
      }
    },
  };
}
