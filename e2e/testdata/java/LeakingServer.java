import java.io.IOException;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.ArrayList;
import java.util.List;

/** Answers each connection once and never closes it. It listens on [::], as Java does by default. */
public class LeakingServer {
    private static final List<Socket> KEPT = new ArrayList<>();

    public static void main(String[] arguments) throws IOException {
        ServerSocket listener = new ServerSocket(0);
        Thread accepting = new Thread(() -> accept(listener));
        accepting.setDaemon(true);
        accepting.start();
        System.out.println(listener.getLocalPort());
        while (System.in.read() >= 0) {
        }
    }

    private static void accept(ServerSocket listener) {
        try {
            while (true) {
                Socket connection = listener.accept();
                connection.getInputStream().read(new byte[4096]);
                connection.getOutputStream().write("hello\n".getBytes());
                KEPT.add(connection);
            }
        } catch (IOException e) {
            throw new RuntimeException(e);
        }
    }
}
