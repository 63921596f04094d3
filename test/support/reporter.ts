import mocha, { type MochaOptions, type Runner } from 'mocha';

/** The spec reporter, closed by the plain line that CI reads: "N passed, N failed". */
export default class ClosingLine extends mocha.reporters.Spec {
  constructor(runner: Runner, options: MochaOptions) {
    super(runner, options);
    runner.once('end', () => {
      // After the spec reporter's own epilogue, which listens for the same event.
      setImmediate(() => {
        process.stdout.write(`${runner.stats?.passes ?? 0} passed, ${runner.stats?.failures ?? 0} failed\n`);
      });
    });
  }
}
