// An origin that tells of every request whose body is complete: method, path, body in hex, status.
const server = require('http').createServer((request, response) => {
  const pieces = [];
  request.on('data', (piece) => pieces.push(piece));
  request.on('error', () => {});
  request.on('end', () => {
    console.log(`${request.method} ${request.url} "${Buffer.concat(pieces).toString('hex')}" 200`);
    response.writeHead(200, { 'content-length': 2 });
    response.end('ok');
  });
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
