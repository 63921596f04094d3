import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
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
  /** An icon of bootstrap-icons, drawn from the file of all icons in use. Throws for one that does not exist. */
  icon(name: string): string;
  mount(app: Express): void;
}

export function loadAssets(root: string): Assets {
  const loaded = new Map(
    Object.entries(files).map(
      ([name, path]) => [name, assetOf(name, readFileSync(join(root, path)))] as const,
    ),
  );
  const iconFolder = join(root, 'node_modules/bootstrap-icons/icons');
  const drawn = iconsInUse(iconFolder, [join(root, 'templates'), import.meta.dirname]);
  const sprite = assetOf('icons.svg', Buffer.from(spriteOf(iconFolder, drawn)));
  loaded.set('icons.svg', sprite);
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
      // Drawn once in one cached file: an icon in each row would be most of a page. One that only a value names is inline.
      const svg = drawn.has(name)
        ? `<svg class="bi" width="16" height="16" fill="currentColor" aria-hidden="true" focusable="false"><use href="${sprite.url}#${name}"/></svg>`
        : readIcon(iconFolder, name).replace('<svg ', '<svg aria-hidden="true" focusable="false" ');
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

interface Asset {
  readonly body: Buffer;
  readonly url: string;
  readonly type: string;
}

function assetOf(name: string, body: Buffer): Asset {
  const hash = createHash('sha256').update(body).digest('hex').slice(0, 12);
  const [stem, extension] = [name.slice(0, -extname(name).length), extname(name)];
  return { body, url: `/assets/${stem}.${hash}${extension}`, type: types[extension] ?? '' };
}

/** Names of icons that stand in quotes in templates or in the code of pages; a word too many only adds a drawing. */
function iconsInUse(iconFolder: string, folders: readonly string[]): Set<string> {
  const all = new Set(readdirSync(iconFolder).map((file) => file.replace('.svg', '')));
  const used = new Set<string>();
  for (const folder of folders) {
    for (const file of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
      if (!/\.(hbs|ts|js)$/.test(file)) continue;
      for (const [, name = ''] of readFileSync(join(folder, file), 'utf8').matchAll(
        /['"]([a-z][a-z0-9-]*)['"]/g,
      )) {
        if (all.has(name)) used.add(name);
      }
    }
  }
  return new Set([...used].sort());
}

function spriteOf(iconFolder: string, names: ReadonlySet<string>): string {
  const symbols = [...names].map((name) =>
    readIcon(iconFolder, name)
      .replace(/<svg [^>]*>/, `<symbol id="${name}" viewBox="0 0 16 16">`)
      .replace('</svg>', '</symbol>'),
  );
  return `<svg xmlns="http://www.w3.org/2000/svg">${symbols.join('')}</svg>`;
}

function readIcon(iconFolder: string, name: string): string {
  return readFileSync(join(iconFolder, `${name}.svg`), 'utf8').trim();
}
