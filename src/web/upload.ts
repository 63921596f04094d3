import type { Readable } from 'node:stream';
import { Busboy } from '@fastify/busboy';
import type { Request } from 'express';
import { invalid } from '../errors.ts';

export interface Upload {
  readonly name: string;
  readonly bytes: Buffer;
}

/** A file of a form is at most so large: some fifty thousand subscribers. */
export const uploadMax = 8 * 1024 * 1024;

const uploads = new WeakMap<Request, Upload>();

/** The file of the form that this request brought, if it brought one. */
export function uploadOf(req: Request): Upload | undefined {
  return uploads.get(req);
}

/**
 * Reads a form with a file: its fields become the request's body, as with any other form. Throws AppError where the
 * file is too large, or the form is not whole; the rest of it is read and thrown away, so that the browser hears the
 * answer.
 */
export async function readUpload(req: Request): Promise<void> {
  const type = req.headers['content-type'] ?? '';
  if (!type.startsWith('multipart/form-data')) return;
  const fields = new Map<string, string>();
  const parts: Buffer[] = [];
  const file: { name: string | null; isTooLarge: boolean } = { name: null, isTooLarge: false };
  await readParts(req, type, {
    field: (name, value) => fields.set(name, value),
    file: (name, stream) => {
      file.name = name;
      stream.on('data', (part: Buffer) => parts.push(part));
      stream.on('limit', () => {
        file.isTooLarge = true;
        parts.length = 0;
      });
    },
  }).catch(() => {
    req.resume();
    throw invalid('file', 'did not arrive whole: send it again');
  });
  if (file.isTooLarge) throw invalid('file', `must be at most ${uploadMax / 1024 / 1024} MB: split it`);
  req.body = Object.fromEntries(fields);
  if (file.name !== null) uploads.set(req, { name: file.name, bytes: Buffer.concat(parts) });
}

interface PartReader {
  field(name: string, value: string): void;
  file(name: string, stream: Readable): void;
}

/** Rejects for a form without its boundary or its end. */
function readParts(req: Request, type: string, reader: PartReader): Promise<void> {
  return new Promise((resolve, reject) => {
    // Throws where the type names no boundary.
    const busboy = new Busboy({
      headers: { ...req.headers, 'content-type': type },
      limits: { files: 1, fileSize: uploadMax, fields: 20, fieldSize: 10_000 },
    });
    const fail = (error: unknown) => {
      req.unpipe(busboy);
      reject(error instanceof Error ? error : new Error('the form is broken'));
    };
    busboy.on('field', (name, value) => reader.field(name, value));
    busboy.on('file', (_field, stream, name) => {
      // Without this listener a file that ends too early would end the process.
      stream.on('error', fail);
      reader.file(name, stream);
    });
    busboy.once('finish', () => resolve());
    busboy.on('error', fail);
    req.once('error', fail);
    req.pipe(busboy);
  });
}
