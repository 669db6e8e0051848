/** Starts a Trino node in this process. The configuration comes in system properties, as server.py sets them. */
public class Node {
    public static void main(String[] arguments) {
        new io.trino.server.Server().start(arguments[0]);
    }
}
