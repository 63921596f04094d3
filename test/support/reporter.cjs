// The spec reporter, closed by the plain line that CI reads: "N passed, N failed". CommonJS, because mocha takes a
// reporter as what require() gives.
const { Spec } = require('mocha').reporters;

module.exports = class ClosingLine extends Spec {
  constructor(runner, options) {
    super(runner, options);
    // A test that met a busy machine is asked once more; what needed that is said, so that nobody gets used to it.
    const again = [];
    runner.on('retry', (test, error) => {
      const [why = ''] = String(error?.message ?? error).split('\n');
      again.push(`${test.fullTitle()}: ${why}`);
    });
    runner.once('end', () => {
      // After the spec reporter's own epilogue, which listens for the same event.
      setImmediate(() => {
        for (const title of again) process.stdout.write(`asked again: ${title}\n`);
        const { passes = 0, failures = 0 } = runner.stats ?? {};
        process.stdout.write(`${passes} passed, ${failures} failed\n`);
      });
    });
  }
};
