import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URL;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;

/** Two threads answer requests. For /outer each fetches /inner from the server itself. */
public class SelfCall {
    public static void main(String[] arguments) throws IOException {
        AtomicInteger number = new AtomicInteger();
        ExecutorService pool = Executors.newFixedThreadPool(2, task -> {
            Thread thread = new Thread(task, "http-exec-" + number.incrementAndGet());
            thread.setDaemon(true);
            return thread;
        });
        HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getByName("127.0.0.1"), 0), 0);
        int port = server.getAddress().getPort();
        server.createContext("/inner", SelfCall::answer);
        server.createContext("/outer", exchange -> {
            new URL("http://127.0.0.1:" + port + "/inner").openStream().readAllBytes();
            answer(exchange);
        });
        server.setExecutor(pool);
        server.start();
        System.out.println(port);
        while (System.in.read() >= 0) {
        }
        System.exit(0);
    }

    private static void answer(HttpExchange exchange) throws IOException {
        exchange.sendResponseHeaders(200, 6);
        exchange.getResponseBody().write("hello\n".getBytes());
        exchange.close();
    }
}
