#!/usr/bin/env node
// The command `birthmark`. Runs src/cli/main.ts in this Node if it is recent enough, else in the one that the bootstrap brought.
import { spawn } from 'node:child_process';
import module from 'node:module';
import { fileURLToPath } from 'node:url';
import { findPackagedNode, isRecentEnough, oldestNode } from './runtime.mjs';

/** Runs this same file in the Node at `path`, passing on signals, and ends as that process ended. */
function runIn(/** @type {string} */ path) {
  const child = spawn(path, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: 'inherit' });
  const onTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2'])) {
    process.on(signal, () => {
      // A terminal sends Ctrl-C to both processes; to pass it on would make it count twice.
      if (!(signal === 'SIGINT' && onTerminal)) child.kill(signal);
    });
  }
  child.on('error', (error) => {
    console.error(`birthmark: cannot run ${path}: ${error.message}`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

if (isRecentEnough(process.versions.node)) {
  module.enableCompileCache(fileURLToPath(new URL('../node_modules/.cache/birthmark', import.meta.url)));
  await import('../src/cli/main.ts');
} else {
  const path = findPackagedNode();
  if (path === undefined) {
    console.error(
      `birthmark: needs Node ${oldestNode} or newer, this is ${process.versions.node}; ` +
        'run "npm start" or "node scripts/bootstrap.mjs" in the project\'s folder once, which brings it.',
    );
    process.exit(1);
  }
  runIn(path);
}
