using System.Diagnostics;
using System.Net.Http.Json;
using System.Net.WebSockets;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace OrtCpr.Tests;

// One page of a headless Chromium, driven by its remote debugging protocol.
internal sealed class Chromium : IDisposable
{
    private static readonly string[] Names = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private readonly TemporaryFolder _profile;
    private readonly Process _process;
    private readonly ClientWebSocket _socket = new();
    private readonly CancellationTokenSource _time = new(TimeSpan.FromMinutes(3));
    private int _calls;

    private Chromium(Process process, TemporaryFolder profile) => (_process, _profile) = (process, profile);

    // What pages logged and threw.
    public List<string> Complaints { get; } = [];

    public static string FindOrSkip()
    {
        string? browser = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
            .SelectMany(p => Names.Select(n => Path.Combine(p, n))).FirstOrDefault(File.Exists);
        if (browser is null) Assert.Inconclusive("There is no Chromium in PATH.");
        return browser;
    }

    public static async Task<Chromium> OpenAsync(string browser, string url, int width, int height)
    {
        var profile = new TemporaryFolder();
        Process process = Process.Start(new ProcessStartInfo(browser, ["--headless", "--no-sandbox", "--disable-gpu",
            "--remote-debugging-port=0", $"--user-data-dir={profile.FolderPath}", "about:blank"])
        { RedirectStandardError = true, RedirectStandardOutput = true })!;
        process.BeginErrorReadLine();
        process.BeginOutputReadLine();
        var page = new Chromium(process, profile);
        try
        {
            await page.ConnectAsync();
            foreach (string domain in new[] { "Runtime", "Log", "Page" }) await page.CallAsync($"{domain}.enable");
            await page.CallAsync("Emulation.setDeviceMetricsOverride",
                new JsonObject { ["width"] = width, ["height"] = height, ["deviceScaleFactor"] = 1, ["mobile"] = width < 600 });
            await page.CallAsync("Page.navigate", new JsonObject { ["url"] = url });
            return page;
        }
        catch
        {
            page.Dispose();
            throw;
        }
    }

    // The value of an expression, awaited where it is a promise.
    public async Task<string> EvaluateAsync(string expression)
    {
        JsonNode answer = await CallAsync("Runtime.evaluate",
            new JsonObject { ["expression"] = expression, ["awaitPromise"] = true, ["returnByValue"] = true });
        Assert.IsNull(answer["exceptionDetails"], $"{expression}: {answer["exceptionDetails"]}");
        return answer["result"]?["value"]?.ToString() ?? "";
    }

    public async Task WaitForAsync(string expression, string expected)
    {
        var watch = Stopwatch.StartNew();
        string found = "";
        while (watch.Elapsed < Patience)
        {
            found = await EvaluateAsync(expression);
            if (found == expected) return;
            await Task.Delay(50, _time.Token);
        }
        Assert.Fail($"{expression} is {found} after {Patience}; expected {expected}. {string.Join("; ", Complaints)}");
    }

    public Task<JsonNode> ClickAsync(string selector) => CallAsync("Runtime.evaluate",
        new JsonObject { ["expression"] = $"document.querySelector('{selector}').click()" });

    // A line of points in the middle of an element, by mouse or by finger; points are shares of its width and height.
    public async Task DrawAsync(string selector, bool isTouch, params (double X, double Y)[] points)
    {
        await EvaluateAsync($"document.querySelector('{selector}').scrollIntoView({{ block: 'center' }})");
        JsonNode place = JsonNode.Parse(await EvaluateAsync(
            $"JSON.stringify(document.querySelector('{selector}').getBoundingClientRect())"))!;
        JsonObject At((double X, double Y) p) => new()
        {
            ["x"] = (double)place["x"]! + (p.X * (double)place["width"]!),
            ["y"] = (double)place["y"]! + (p.Y * (double)place["height"]!),
        };
        for (int i = 0; i <= points.Length; i++)
        {
            JsonObject at = At(points[Math.Min(i, points.Length - 1)]);
            if (isTouch)
            {
                bool isEnd = i == points.Length;
                await CallAsync("Input.dispatchTouchEvent", new JsonObject
                {
                    ["type"] = i == 0 ? "touchStart" : isEnd ? "touchEnd" : "touchMove",
                    ["touchPoints"] = isEnd ? new JsonArray() : new JsonArray(at),
                });
            }
            else
            {
                at["type"] = i == 0 ? "mousePressed" : i == points.Length ? "mouseReleased" : "mouseMoved";
                at["button"] = "left";
                at["clickCount"] = 1;
                await CallAsync("Input.dispatchMouseEvent", at);
            }
        }
    }

    public void Dispose()
    {
        _socket.Dispose();
        _process.Kill(entireProcessTree: true);
        _process.WaitForExit();
        _process.Dispose();
        _profile.Dispose();
        _time.Dispose();
    }

    private async Task ConnectAsync()
    {
        string ports = Path.Combine(_profile.FolderPath, "DevToolsActivePort");
        while (!File.Exists(ports) || File.ReadAllLines(ports).Length == 0) await Task.Delay(50, _time.Token);
        using var http = new HttpClient();
        string list = $"http://127.0.0.1:{File.ReadAllLines(ports)[0]}/json/list";
        JsonArray targets = (await http.GetFromJsonAsync<JsonArray>(list, _time.Token))!;
        string address = (string)targets.First(t => (string)t!["type"]! == "page")!["webSocketDebuggerUrl"]!;
        await _socket.ConnectAsync(new Uri(address), _time.Token);
    }

    private async Task<JsonNode> CallAsync(string method, JsonObject? parameters = null)
    {
        int id = ++_calls;
        var call = new JsonObject { ["id"] = id, ["method"] = method, ["params"] = parameters ?? [] };
        byte[] text = JsonSerializer.SerializeToUtf8Bytes(call);
        await _socket.SendAsync(text, WebSocketMessageType.Text, endOfMessage: true, _time.Token);
        while (true)
        {
            JsonNode message = await ReceiveAsync();
            if ((int?)message["id"] == id)
            {
                Assert.IsNull(message["error"], $"{method}: {message["error"]}");
                return message["result"]!;
            }
            if ((string?)message["method"] is "Runtime.exceptionThrown" or "Log.entryAdded" or "Runtime.consoleAPICalled")
                Complaints.Add(message["params"]!.ToJsonString());
        }
    }

    private async Task<JsonNode> ReceiveAsync()
    {
        using var whole = new MemoryStream();
        byte[] buffer = new byte[1 << 16];
        WebSocketReceiveResult part;
        do
        {
            part = await _socket.ReceiveAsync(buffer, _time.Token);
            whole.Write(buffer, 0, part.Count);
        }
        while (!part.EndOfMessage);
        return JsonNode.Parse(whole.ToArray())!;
    }
}
