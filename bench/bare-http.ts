import { createServer } from 'node:http';

/** `node bare-http.ts OCTETS`: the least that an HTTP server of this runtime does for a buffer of that size. Prints its port. */
const body = Buffer.alloc(Number(process.argv[2]), 7);
const headers = { 'content-type': 'application/ocsp-response', 'content-length': body.length };
const server = createServer((request, response) => {
  const answer = () => response.writeHead(200, headers).end(body);
  if (request.method === 'GET') {
    answer();
    return;
  }
  const pieces: Buffer[] = [];
  request.on('data', (piece: Buffer) => pieces.push(piece));
  request.once('end', answer);
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address !== null && typeof address === 'object') console.log(address.port);
});
