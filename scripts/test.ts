// `npm test`: other people's programs, then the gate (`npm run check`), then the interop suites, and at the end one line
// that adds both up. Red when a test failed, when none ran, and, with CI=true, when one was skipped.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** What we read of vitest's JSON report. */
interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
}

interface Total {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

const folder = mkdtempSync(path.join(tmpdir(), 'birthmark-test-'));
try {
  run(process.execPath, ['scripts/system-packages.mjs']);
  const unit = runSuite('unit', 'npm', ['run', '--silent', 'check', '--']);
  const interop = runSuite('interop', 'vitest', ['run', '--project', 'interop']);
  const passed = unit.passed + interop.passed;
  const failed = unit.failed + interop.failed;
  const skipped = unit.skipped + interop.skipped;

  const mayNotSkip = process.env.CI === 'true';
  if (mayNotSkip && skipped > 0)
    console.log('With CI=true no test may be skipped; the lines above say in which files some were.');
  console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
  process.exitCode = failed === 0 && passed > 0 && !(mayNotSkip && skipped > 0) ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true });
}

/** Runs a command that ends in vitest, and reads from vitest's report how it went. */
function runSuite(name: string, program: string, words: readonly string[]): Total {
  const file = path.join(folder, `${name}.json`);
  const status = run(program, [
    ...words,
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${file}`,
  ]);
  // Lint, types or dead code stopped it before the first test; that counts as one.
  if (!existsSync(file)) return { passed: 0, failed: 1, skipped: 0 };
  const report = parseReport(readFileSync(file, 'utf8'));
  return {
    passed: report.numPassedTests,
    // A file that does not load, or an error outside of every test, is no failed test, and yet fails the run.
    failed: Math.max(report.numFailedTests, status === 0 ? 0 : 1),
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

function parseReport(text: string): Report {
  return JSON.parse(text) as Report;
}

function run(program: string, words: readonly string[]): number | null {
  const { status, error } = spawnSync(program, words, { stdio: 'inherit' });
  if (error !== undefined) throw error;
  return status;
}
