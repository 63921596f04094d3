/** A token bucket: how many packets may leave now. Times are milliseconds of a clock that never goes back. */
export interface Bucket {
  readonly perSecond: number;
  readonly tokens: number;
  readonly atMs: number;
}

/** A fifth of a second's worth may leave at once, so that work goes in batches and the router still sees a pace. */
export function burstOf(perSecond: number): number {
  return Math.max(1, Math.floor(perSecond / 5));
}

export function fullBucket(perSecond: number, nowMs: number): Bucket {
  return { perSecond, tokens: burstOf(perSecond), atMs: nowMs };
}

export function refill(bucket: Bucket, nowMs: number): Bucket {
  const gained = (Math.max(0, nowMs - bucket.atMs) / 1000) * bucket.perSecond;
  return { ...bucket, tokens: Math.min(burstOf(bucket.perSecond), bucket.tokens + gained), atMs: nowMs };
}

/** Whole packets that may leave now. */
export function available(bucket: Bucket): number {
  return Math.floor(bucket.tokens);
}

/**
 * Packets that a person waits for may leave at once, up to a burst ahead of the pace; bulk work waits until that is made
 * up for, so that the router sees no more in all.
 */
export function urgentRoom(bucket: Bucket): number {
  return Math.max(0, Math.floor(burstOf(bucket.perSecond) + Math.min(0, bucket.tokens)));
}

export function take(bucket: Bucket, packets: number): Bucket {
  return { ...bucket, tokens: bucket.tokens - packets };
}

/** Until half a burst has gathered: fewer, larger batches. */
export function waitMsFor(bucket: Bucket): number {
  const wanted = Math.max(1, burstOf(bucket.perSecond) / 2);
  return Math.max(1, Math.ceil(((wanted - bucket.tokens) / bucket.perSecond) * 1000));
}
