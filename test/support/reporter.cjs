// The spec reporter, closed by the plain line that CI reads: "N passed, N failed". CommonJS, because mocha takes a
// reporter as what require() gives.
const { Spec } = require('mocha').reporters;

module.exports = class ClosingLine extends Spec {
  constructor(runner, options) {
    super(runner, options);
    runner.once('end', () => {
      // After the spec reporter's own epilogue, which listens for the same event.
      setImmediate(() => {
        const { passes = 0, failures = 0 } = runner.stats ?? {};
        process.stdout.write(`${passes} passed, ${failures} failed\n`);
      });
    });
  }
};
