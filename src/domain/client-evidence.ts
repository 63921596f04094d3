/** What one FreeRADIUS host has taken of one router, and since when. Hashes are clientHash()'s; null is "nothing". */
export interface ClientState {
  readonly routerId: string;
  readonly wantedHash: string | null;
  readonly wantedAt: Date;
  readonly inPlaceHash: string | null;
  readonly inPlaceAt: Date | null;
  readonly loadedHash: string | null;
  readonly loadedAt: Date | null;
  readonly heardAt: Date | null;
  readonly error: string | null;
}

/**
 * How far a change has come on a host, in the order in which it can be known. An idle router stays `in_place`: FreeRADIUS
 * reads the file at its next packet. `removed` is final as soon as the file is gone: the next packet finds none.
 */
export type ClientLevel = 'error' | 'waiting' | 'in_place' | 'loaded' | 'heard' | 'removed';

export function clientLevel(state: Omit<ClientState, 'routerId' | 'wantedAt'>): ClientLevel {
  if (state.error !== null) return 'error';
  if (state.inPlaceHash !== state.wantedHash) return 'waiting';
  if (state.wantedHash === null) return 'removed';
  if (state.heardAt !== null) return 'heard';
  return state.loadedHash === state.wantedHash ? 'loaded' : 'in_place';
}

/** Whether the server's memory can still tell something new about this router. */
export function isComplete(state: ClientState): boolean {
  const level = clientLevel(state);
  return level === 'heard' || (level === 'removed' && state.loadedHash === null);
}

export function newClientState(routerId: string, at: Date): ClientState {
  return {
    routerId,
    wantedHash: null,
    wantedAt: at,
    inPlaceHash: null,
    inPlaceAt: null,
    loadedHash: null,
    loadedAt: null,
    heardAt: null,
    error: null,
  };
}

/** Something else is wanted from `at` on: what was heard before says nothing about it. */
export function withWanted(state: ClientState, hash: string | null, at: Date): ClientState {
  if (state.wantedHash === hash) return state;
  return { ...state, wantedHash: hash, wantedAt: at, heardAt: null };
}

export function withInPlace(state: ClientState, hash: string | null, at: Date): ClientState {
  if (state.inPlaceHash === hash) return state;
  return { ...state, inPlaceHash: hash, inPlaceAt: at };
}

export function withLoaded(state: ClientState, hash: string | null, at: Date): ClientState {
  if (state.loadedHash === hash) return state;
  return { ...state, loadedHash: hash, loadedAt: at };
}

export function withHeard(state: ClientState, at: Date): ClientState {
  return state.heardAt === null ? { ...state, heardAt: at } : state;
}

export function withError(state: ClientState, error: string | null): ClientState {
  const text = error === null ? null : error.slice(0, 190);
  return state.error === text ? state : { ...state, error: text };
}
