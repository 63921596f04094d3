export interface Regular {
  /** Now instead of when it is due. */
  wake(): void;
  /** Resolves when the last time has ended. */
  stop(): Promise<void>;
}

/**
 * Does something again and again, never twice at a time. `work` says true where there is more to do at once. A failure is
 * told and does not end it.
 */
export function regularly(
  work: () => Promise<boolean>,
  options: { everyMs: number; onError: (error: unknown) => void },
): Regular {
  const state = { isStopping: false, isRoused: false, rouse: (): void => undefined };
  const pause = () =>
    new Promise<void>((resolve) => {
      if (state.isStopping || state.isRoused) {
        resolve();
        return;
      }
      const timer = setTimeout(resolve, options.everyMs);
      state.rouse = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  const run = async () => {
    while (!state.isStopping) {
      state.isRoused = false;
      const hasMore = await work().catch((error: unknown) => {
        options.onError(error);
        return false;
      });
      if (!hasMore) await pause();
    }
  };
  const ended = run();
  const wake = () => {
    state.isRoused = true;
    state.rouse();
  };
  return {
    wake,
    async stop() {
      state.isStopping = true;
      wake();
      await ended;
    },
  };
}
