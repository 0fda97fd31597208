import { readFileSync } from 'node:fs';
import { connect } from 'node:net';

/**
 * `node ocsp-load.ts PORT REQUESTS.json SECONDS`: sends HTTP requests (base64 of their octets) over kept connections, one
 * after the other on each, and prints `{"count","seconds","octets"}`, the last of one body. It reads of an answer what it
 * must to know its end.
 */
const [, , port = '', file = '', seconds = ''] = process.argv;
const requests: Buffer[] = JSON.parse(readFileSync(file, 'utf8')).map((text: string) =>
  Buffer.from(text, 'base64'),
);
const CONNECTIONS = 32;
const HEAD_END = Buffer.from('\r\n\r\n');
const endAt = performance.now() + Number(seconds) * 1000;
let count = 0;
let octets = 0;
let next = 0;

function send(): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), '127.0.0.1');
    socket.setNoDelay(true);
    let left = Buffer.alloc(0);
    const ask = () => {
      const request = requests[next++ % requests.length];
      if (request) socket.write(request);
    };
    socket.once('connect', ask);
    socket.once('error', reject);
    socket.on('data', (piece) => {
      left = left.length === 0 ? piece : Buffer.concat([left, piece]);
      const head = left.indexOf(HEAD_END);
      if (head === -1) return;
      const text = left.toString('latin1', 0, head);
      const length = Number(/content-length: (\d+)/i.exec(text)?.[1]);
      if (!text.startsWith('HTTP/1.1 200 ') || Number.isNaN(length)) {
        reject(new Error(`answered with ${text}`));
        return;
      }
      if (left.length < head + HEAD_END.length + length) return;
      left = Buffer.alloc(0);
      octets = length;
      count += 1;
      if (performance.now() < endAt) ask();
      else {
        socket.destroy();
        resolve();
      }
    });
  });
}

const startedAt = performance.now();
await Promise.all(Array.from({ length: CONNECTIONS }, send));
console.log(JSON.stringify({ count, seconds: (performance.now() - startedAt) / 1000, octets }));
