import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.net.SocketAddress;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import javax.net.SocketFactory;

/** pgjdbc knows TCP only, and the tests' server has a unix socket only; the argument is its path. */
public final class UnixSockets extends SocketFactory {
    private final String path;

    public UnixSockets(String path) {
        this.path = path;
    }

    @Override
    public Socket createSocket() {
        return new Socket() {
            private SocketChannel channel;

            @Override
            public void connect(SocketAddress ignored, int timeout) throws IOException {
                channel = SocketChannel.open(UnixDomainSocketAddress.of(path));
            }

            @Override
            public boolean isConnected() {
                return channel != null && channel.isConnected();
            }

            @Override
            public boolean isClosed() {
                return channel != null && !channel.isOpen();
            }

            @Override
            public InputStream getInputStream() {
                return Channels.newInputStream(channel);
            }

            @Override
            public OutputStream getOutputStream() {
                return Channels.newOutputStream(channel);
            }

            @Override
            public void close() throws IOException {
                if (channel != null) {
                    channel.close();
                }
            }

            @Override
            public void setTcpNoDelay(boolean on) {}

            @Override
            public void setKeepAlive(boolean on) {}

            @Override
            public void setSoTimeout(int timeout) {}

            @Override
            public int getSoTimeout() {
                return 0;
            }
        };
    }

    @Override
    public Socket createSocket(String host, int port) {
        throw new UnsupportedOperationException();
    }

    @Override
    public Socket createSocket(String host, int port, InetAddress localHost, int localPort) {
        throw new UnsupportedOperationException();
    }

    @Override
    public Socket createSocket(InetAddress host, int port) {
        throw new UnsupportedOperationException();
    }

    @Override
    public Socket createSocket(InetAddress host, int port, InetAddress localHost, int localPort) {
        throw new UnsupportedOperationException();
    }
}
