// Compiles pkcs11js, the optional package through which keys in PKCS#11 tokens are used. It is no part of `npm ci`, since it needs
// a C++ compiler: `npm run build:pkcs11` when there is one. The headers are those of the packaged Node, where that is here, so that
// nothing is fetched.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { packagedNode } from '../bin/runtime.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const built = path.join(root, 'node_modules/pkcs11js/build/Release/pkcs11.node');

if (!fs.existsSync(built)) {
  const headers = path.resolve(packagedNode, '../..');
  const env = {
    ...process.env,
    ...(fs.existsSync(path.join(headers, 'include/node/node_api.h')) && { npm_config_nodedir: headers }),
  };
  const npm = process.env.npm_execpath?.endsWith('npm-cli.js')
    ? [process.env.npm_node_execpath ?? process.execPath, process.env.npm_execpath]
    : ['npm'];
  const [program = 'npm', ...given] = [...npm, 'rebuild', 'pkcs11js', '--loglevel=error'];
  const { status } = spawnSync(program, given, { cwd: root, env, stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0 || !fs.existsSync(built)) {
    console.error(
      'birthmark: pkcs11js could not be built; is there a C++ compiler (Debian: g++ make python3)?',
    );
    process.exitCode = 1;
  }
}
