// An HTTP/2 server in clear that prints its port, and does what the path says.
const http2 = require('http2');
const { NGHTTP2_REFUSED_STREAM, NGHTTP2_NO_ERROR } = http2.constants;

const server = http2.createServer({ settings: { enableConnectProtocol: true, maxConcurrentStreams: 50 } });
server.on('stream', (stream, headers) => {
  stream.on('error', () => {});
  if (headers[':method'] === 'CONNECT') {
    stream.respond({ ':status': 200, protocol: headers[':protocol'] || 'none' });
    return stream.pipe(stream);
  }
  switch (headers[':path']) {
    case '/echo':
      stream.respond({ ':status': 200 });
      return stream.pipe(stream);
    case '/large':
      stream.respond({ ':status': 200 });
      return stream.end(Buffer.alloc(8 * 1024 * 1024, 'x'));
    case '/trailers':
      stream.respond({ ':status': 200 }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ checksum: '7' }));
      return stream.end('body');
    case '/early':
      stream.additionalHeaders({ ':status': 103, link: '</style.css>; rel=preload' });
      stream.respond({ ':status': 200 });
      return stream.end('late');
    case '/refuse':
      return stream.close(NGHTTP2_REFUSED_STREAM);
    case '/fewer':
      stream.session.settings({ maxConcurrentStreams: 1 });
      break;
    case '/more':
      stream.session.settings({ maxConcurrentStreams: 7 });
      break;
    case '/goodbye':
      stream.session.goaway(NGHTTP2_NO_ERROR, stream.id);
      break;
    case '/never':
      return;
  }
  const said = Object.keys(headers).map((name) => `${name}=${headers[name]}`);
  stream.respond({ ':status': 200 });
  stream.end(said.join('\n'));
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
