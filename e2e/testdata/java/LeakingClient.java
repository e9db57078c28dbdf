import java.io.IOException;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.URL;
import java.util.ArrayList;
import java.util.List;

/** Requests a page several times, reads a byte of each answer, and closes none. */
public class LeakingClient {
    private static final List<InputStream> KEPT = new ArrayList<>();

    public static void main(String[] arguments) throws IOException {
        URL page = new URL(arguments[0]);
        for (int times = Integer.parseInt(arguments[1]); times > 0; times--) {
            HttpURLConnection connection = (HttpURLConnection) page.openConnection();
            InputStream body = connection.getInputStream();
            body.read();
            KEPT.add(body);
        }
        System.out.println(0);
        while (System.in.read() >= 0) {
        }
    }
}
