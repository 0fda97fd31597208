// Brings what Birthmark needs from npm: its packages, and a Node that runs it. npm calls this before start, test, check,
// bench and conformance, with whatever Node the machine has (18 or newer). When nothing changed since the last time it
// reads a few small files and says nothing.
//
// The packaged Node is other people's repackaging of the official build, so its SHA-256 is recorded in runtime.json and
// checked here. BIRTHMARK_SYSTEM_NODE=1 leaves it unused: everything then runs on the machine's own Node.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { isRecentEnough, oldestNode, packagedNode } from '../bin/runtime.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const modules = path.join(root, 'node_modules');
const stampPath = path.join(modules, '.birthmark-stamp');
const lockText = fs.readFileSync(path.join(root, 'package-lock.json'), 'utf8');
const runtimeText = fs.readFileSync(path.join(root, 'scripts/runtime.json'), 'utf8');

const platform = `${process.platform}-${process.arch}`;
const runtime = JSON.parse(runtimeText);
const wantsSystemNode = process.env.BIRTHMARK_SYSTEM_NODE === '1';
const usesPackagedNode = !wantsSystemNode && platform in runtime.sha256;
const npmNode = process.env.npm_node_execpath ?? process.execPath;

const stamp = sha256(`${lockText}${runtimeText}${platform} ${usesPackagedNode ? 'packaged' : 'system'}`);
if (readIfThere(stampPath) !== stamp) {
  if (!isInstalled()) install();
  if (usesPackagedNode) checkPackagedNode();
  else checkSystemNode();
  fs.writeFileSync(stampPath, stamp);
}
// npm 10 removes the first link again when it drops the other platforms' packages. Without the second, npx could go
// and look for a stranger's package of our name.
link('node', usesPackagedNode ? packagedNode : undefined);
link('birthmark', path.join(root, 'bin/birthmark.mjs'));

/** Whether npm's own record in node_modules has every package of the lock file that this machine needs. */
function isInstalled() {
  const record = readIfThere(path.join(modules, '.package-lock.json'));
  if (record === undefined || (usesPackagedNode && !fs.existsSync(packagedNode))) return false;
  const { '': self, ...wanted } = JSON.parse(lockText).packages;
  const ours = Object.fromEntries(
    Object.keys(self.optionalDependencies).map((name) => [`node_modules/${name}`, true]),
  );
  const found = JSON.parse(record).packages;
  return Object.entries(wanted).every(([place, { integrity, optional, os, cpu, libc }]) => {
    const isForUs =
      !optional ||
      (!os && place in ours) ||
      (os?.includes(process.platform) && cpu?.includes(process.arch) && !libc?.includes('musl'));
    return found[place]?.integrity === integrity || (!isForUs && !found[place]);
  });
}

/** Lays out node_modules as the lock file says. No package of ours needs an install script, so none may run one. */
function install() {
  const node = usesPackagedNode ? ` and Node ${runtime.version}` : '';
  console.error(
    `birthmark: getting the packages${node} that package-lock.json names; this takes half a minute, once`,
  );
  const words = ['ci', '--ignore-scripts', '--include=dev', '--include=optional', '--no-audit', '--no-fund'];
  const npm = process.env.npm_execpath?.endsWith('npm-cli.js')
    ? [npmNode, process.env.npm_execpath]
    : ['npm'];
  const [program = 'npm', ...given] = [...npm, ...words, '--loglevel=error'];
  const { status, error } = spawnSync(program, given, { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
  if (error) fail(`cannot run npm: ${error.message}`);
  if (status !== 0) fail('"npm ci" failed, as it says above; mend that and run the same command again');
}

function checkPackagedNode() {
  const wayOut = `install Node ${oldestNode} or newer yourself and set BIRTHMARK_SYSTEM_NODE=1 to go without it`;
  if (!fs.existsSync(packagedNode)) fail(`npm brought no ${packagedNode}; ${wayOut}`);
  const hash = sha256(fs.readFileSync(packagedNode));
  if (hash !== runtime.sha256[platform]) {
    fs.renameSync(packagedNode, `${packagedNode}.refused`);
    fail(
      `the packaged Node has SHA-256 ${hash}, and not ${runtime.sha256[platform]} as recorded in scripts/runtime.json; ` +
        `it is put aside as ${packagedNode}.refused. Try again once; if this comes back, ${wayOut}`,
    );
  }
  const { stdout, error } = spawnSync(packagedNode, ['--version'], { encoding: 'utf8' });
  if (stdout?.trim() !== `v${runtime.version}`) {
    fail(`${packagedNode} does not run here (${error?.message ?? 'no version printed'}); ${wayOut}`);
  }
}

function checkSystemNode() {
  const version = spawnSync(npmNode, ['--version'], { encoding: 'utf8' }).stdout?.trim().replace(/^v/, '');
  if (!version || !isRecentEnough(version)) {
    const way = wantsSystemNode
      ? 'or unset BIRTHMARK_SYSTEM_NODE'
      : `as there is no packaged one for ${platform}`;
    fail(`this needs Node ${oldestNode} or newer, and yours is ${version ?? 'unknown'}: install one, ${way}`);
  }
}

/**
 * Makes node_modules/.bin/NAME point to `target`, or removes it if there is no target.
 *
 * @param {string} name
 * @param {string | undefined} target
 */
function link(name, target) {
  const place = path.join(modules, '.bin', name);
  const content = target && path.relative(path.dirname(place), target);
  const isLink = fs.lstatSync(place, { throwIfNoEntry: false })?.isSymbolicLink();
  if ((isLink ? fs.readlinkSync(place) : undefined) === content) return;
  fs.rmSync(place, { force: true });
  if (content) fs.symlinkSync(content, place);
}

/** @param {string | Buffer} data */
function sha256(data) {
  return createHash('sha256').update(data).digest('hex');
}

/** @param {string} file */
function readIfThere(file) {
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : undefined;
}

/**
 * @param {string} reason
 * @returns {never}
 */
function fail(reason) {
  console.error(`birthmark: ${reason}`);
  process.exit(1);
}
