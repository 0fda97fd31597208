// Which Node runs Birthmark. Plain JavaScript: this is read by Node versions that do not know TypeScript.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The oldest Node that runs our TypeScript as it is; `engines` in package.json says the same. */
export const oldestNode = '24.11.0';

/**
 * Tells whether a Node of this version (`process.versions.node`) runs Birthmark.
 *
 * @param {string} version
 */
export function isRecentEnough(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [oldestMajor = 0, oldestMinor = 0] = oldestNode.split('.').map(Number);
  return major > oldestMajor || (major === oldestMajor && minor >= oldestMinor);
}

/** The path at which npm lays the packaged Node for this machine, whether it is there or not. */
export const packagedNode = fileURLToPath(
  new URL(`../node_modules/node-${process.platform}-${process.arch}/bin/node`, import.meta.url),
);

/** The packaged Node's path if npm has brought it, else undefined. */
export function findPackagedNode() {
  return existsSync(packagedNode) ? packagedNode : undefined;
}
