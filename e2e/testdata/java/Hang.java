import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;

/**
 * Answers each connection once and never closes it. On stdin it takes the commands count and close;
 * see startServer. The argument keepalive turns SO_KEEPALIVE on.
 */
public class Hang {
    private static final List<Socket> KEPT = new ArrayList<>();

    public static void main(String[] arguments) throws IOException {
        boolean keepalive = arguments.length > 0 && arguments[0].equals("keepalive");
        ServerSocket listener = new ServerSocket(0, 128, InetAddress.getByName("127.0.0.1"));
        Thread accepting = new Thread(() -> accept(listener, keepalive));
        accepting.setDaemon(true);
        accepting.start();
        System.out.println(listener.getLocalPort());
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in));
        for (String command; (command = commands.readLine()) != null; ) {
            System.out.println(command.equals("close") ? close() : String.valueOf(count()));
        }
    }

    private static synchronized int count() {
        return KEPT.size();
    }

    private static synchronized String close() throws IOException {
        long from = now();
        for (Socket connection : KEPT) {
            connection.close();
        }
        String answer = KEPT.size() + " " + from + " " + now();
        KEPT.clear();
        return answer;
    }

    private static long now() {
        Instant time = Instant.now();
        return time.getEpochSecond() * 1_000_000_000L + time.getNano();
    }

    private static synchronized void keep(Socket connection) {
        KEPT.add(connection);
    }

    private static void accept(ServerSocket listener, boolean keepalive) {
        try {
            while (true) {
                Socket connection = listener.accept();
                if (keepalive) {
                    connection.setKeepAlive(true);
                }
                connection.getInputStream().read(new byte[4096]);
                keep(connection);
                connection.getOutputStream().write("hello\n".getBytes());
            }
        } catch (IOException e) {
            throw new RuntimeException(e);
        }
    }
}
