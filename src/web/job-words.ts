/** The state of a job that somebody began, in a word, a colour and an icon; what it is before and when given up differs. */
export function jobState(
  job: { state: 'draft' | 'review' | 'working' | 'done' | 'cancelled'; failed: number },
  words: { draft: string; cancelled: string },
) {
  switch (job.state) {
    case 'draft':
    case 'review':
      return { word: words.draft, colour: 'pending', symbol: 'clipboard-check' };
    case 'working':
      return { word: 'Under way', colour: 'pending', symbol: 'hourglass-split' };
    case 'done':
      return job.failed === 0
        ? { word: 'Done', colour: 'full', symbol: 'check-circle-fill' }
        : { word: 'Done, some failed', colour: 'throttled', symbol: 'exclamation-triangle' };
    case 'cancelled':
      return { word: words.cancelled, colour: 'unknown', symbol: 'x-circle' };
  }
}
