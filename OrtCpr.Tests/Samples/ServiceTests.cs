using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using OrtCpr.Checkpoints;
using OrtCpr.Graph;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Tests.House;

namespace OrtCpr.Tests.Samples;

// The service that learns while it answers: no request is lost to a swap, SIGTERM leaves a checkpoint, and a restart goes on from it.
[TestClass]
[DoNotParallelize]
public sealed class ServiceTests
{
    private const int Features = 10, Classes = 5;

    [TestMethod]
    public async Task Service_LearnsWhileItAnswers_AndGoesOnAfterARestart()
    {
        using var folder = new TemporaryFolder();
        float[] probe = Rows(new Random(5), 1).X[0];
        long version;
        using (SampleProcess service = Start(folder))
        {
            using HttpClient http = await ConnectAsync(service);
            (double[] before, _) = await PredictAsync(http, probe);
            using var over = new CancellationTokenSource();
            TaskCompletionSource[] first = [.. Enumerable.Range(0, 3).Select(_ => new TaskCompletionSource())];
            Task<(int Answers, int Versions)>[] asking = [.. first.Select(f => AskAsync(http, probe, f, over.Token))];
            // Every client has an answer of the first model.
            await Task.WhenAll(first.Select(f => f.Task)).WaitAsync(TimeSpan.FromSeconds(60));
            var random = new Random(1);
            // The training has the lowest priority, so it is waited for by the clock.
            long end = Environment.TickCount64 + 90_000;
            while ((long)(await StatusAsync(http))["swaps"]! < 5 && Environment.TickCount64 < end)
            {
                await TeachAsync(http, Rows(random, 32));
                await Task.Delay(20);
            }
            await over.CancelAsync();
            (int Answers, int Versions)[] asked = await Task.WhenAll(asking);
            Assert.IsGreaterThan(1, asked.Min(a => a.Versions), "models that each client saw");
            JsonNode status = await StatusAsync(http);
            Assert.IsGreaterThanOrEqualTo(5L, (long)status["swaps"]!, status.ToJsonString());
            Assert.IsNotNull(status["training"]!["validationLoss"], status.ToJsonString());
            (double[] after, _) = await PredictAsync(http, probe);
            CollectionAssert.AreNotEqual(before, after);
            await AssertMetricsAsync(http, asked.Sum(a => a.Answers));

            await TeachAsync(http, Rows(random, 32));
            Assert.AreEqual(0, await service.TerminateAsync(), service.Output);
            StringAssert.Contains(service.Output, "training stopped after step");
            using TrainingDriver driver = TrainingDriver.Create(Path.Combine(Repository.Root, "artifacts", "mlp.onnx"),
                new TrainingOptions { Optimizer = CprAfter200 });
            TrainingCheckpoint.Load(driver, folder["out/checkpoint.safetensors"]);
            version = driver.Optimizer.Steps;
            Assert.IsGreaterThanOrEqualTo(5 * 20L, version);
        }
        using (SampleProcess service = Start(folder))
        {
            using HttpClient http = await ConnectAsync(service);
            JsonNode status = await StatusAsync(http);
            Assert.IsGreaterThanOrEqualTo(version, (long)status["version"]!, status.ToJsonString());
            Assert.IsGreaterThan(100, (int)status["examples"]!["kept"]!, status.ToJsonString());
        }
    }

    [TestMethod]
    public async Task WrongRequests_AreRefusedWithTheReason()
    {
        using var folder = new TemporaryFolder();
        using SampleProcess service = Start(folder);
        using HttpClient http = await ConnectAsync(service);
        foreach ((string route, object body, string reason) in new (string, object, string)[]
        {
            ("/predict", new { x = Array.Empty<float[]>() }, "x is missing or empty; expected rows of numbers"),
            ("/predict", new { y = 1 }, "x is missing or empty"),
            ("/predict", new { x = new[] { new float[Features], new float[3] } }, "row 1 of x has 3 numbers; expected 10"),
            ("/predict", new { x = new[] { Enumerable.Repeat(1e60, Features).ToArray() } }, "row 0 of x has a number that float32"),
            ("/predict", new { x = Enumerable.Repeat(new float[Features], 1025).ToArray() }, "x has 1025 rows; expected 1024 at most"),
            ("/examples", new { x = new[] { new float[Features] } }, "labels has 0 numbers; expected 1"),
            ("/examples", new { x = new[] { new float[Features] }, labels = new[] { 7 } }, "label 0 is 7; expected 0 to 4"),
        })
        {
            using HttpResponseMessage answer = await http.PostAsJsonAsync(route, body);
            Assert.AreEqual(HttpStatusCode.BadRequest, answer.StatusCode, reason);
            StringAssert.Contains((string)JsonNode.Parse(await answer.Content.ReadAsStringAsync())!["detail"]!, reason);
        }
        Assert.AreEqual(0, (int)(await StatusAsync(http))["examples"]!["kept"]!);
    }

    [TestMethod]
    public void ExamplesOfAnotherModel_AreRefused()
    {
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder["out"]);
        File.WriteAllBytes(folder["out/examples.bin"], [7, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
        (int code, string output) = SampleRun.Of("Service", folder.FolderPath, "--out", "out", "--port", "0");
        Assert.AreEqual(1, code, output);
        StringAssert.Contains(output, "has examples of 7 numbers and 3 classes; expected 10 and 5");
    }

    [TestMethod]
    public void Load_CountsWhatIsLost()
    {
        using var folder = new TemporaryFolder();
        (int code, string output) = SampleRun.Of("Service", folder.FolderPath, "--load", "2", "--rate", "50", "--round-steps", "20");
        Assert.AreEqual(0, code, output);
        StringAssert.Contains(output, "lost: 0 of");
        StringAssert.Contains(output, "with training");
    }

    private static OptimizerOptions CprAfter200 => new()
    {
        Groups = [UpdateRule.AdamCpr(1e-3, constraint: new ConstrainNorm
        {
            Bound = Bound.AfterSteps(200),
        })],
    };

    private static SampleProcess Start(TemporaryFolder folder) =>
        SampleProcess.Start("Service", folder.FolderPath, "--port", "0", "--out", "out", "--round-steps", "20");

    private static async Task<HttpClient> ConnectAsync(SampleProcess service) =>
        new() { BaseAddress = new Uri(await service.WordBehindAsync("serving at ")), Timeout = TimeSpan.FromSeconds(20) };

    // One request after the other; each must be answered, with shares that belong to one model.
    // Asks until it is over, and once more then.
    private static async Task<(int Answers, int Versions)> AskAsync(HttpClient http, float[] row, TaskCompletionSource first,
        CancellationToken over)
    {
        var seen = new Dictionary<long, double[]>();
        int answers = 0;
        for (bool isLast = false; !isLast; answers++)
        {
            isLast = over.IsCancellationRequested;
            (double[] shares, long version) = await PredictAsync(http, row);
            if (!seen.TryAdd(version, shares)) CollectionAssert.AreEqual(seen[version], shares, $"version {version}");
            first.TrySetResult();
        }
        return (answers, seen.Count);
    }

    private static async Task<(double[] Shares, long Version)> PredictAsync(HttpClient http, float[] row)
    {
        using HttpResponseMessage answer = await http.PostAsJsonAsync("/predict", new { x = new[] { row } });
        Assert.AreEqual(HttpStatusCode.OK, answer.StatusCode);
        JsonNode body = JsonNode.Parse(await answer.Content.ReadAsStringAsync())!;
        double[] shares = [.. body["shares"]![0]!.AsArray().Select(s => (double)s!)];
        Assert.HasCount(Classes, shares);
        Assert.AreEqual(1, shares.Sum(), 1e-5);
        return (shares, (long)body["version"]!);
    }

    private static async Task TeachAsync(HttpClient http, (float[][] X, long[] Labels) rows)
    {
        using HttpResponseMessage answer = await http.PostAsJsonAsync("/examples", new { x = rows.X, labels = rows.Labels });
        Assert.AreEqual(HttpStatusCode.Accepted, answer.StatusCode);
    }

    private static async Task<JsonNode> StatusAsync(HttpClient http) => JsonNode.Parse(await http.GetStringAsync("/status"))!;

    private static async Task AssertMetricsAsync(HttpClient http, int answers)
    {
        string[] lines = (await http.GetStringAsync("/metrics")).Split('\n');
        double Value(string name) => double.Parse(lines.First(l => l.StartsWith(name + ' ', StringComparison.Ordinal)).Split(' ')[1],
            System.Globalization.CultureInfo.InvariantCulture);
        Assert.IsGreaterThanOrEqualTo(answers, Value("service_requests{route=\"/predict\",status=\"200\"}"));
        Assert.IsGreaterThanOrEqualTo(answers, Value("service_request_duration_count{route=\"/predict\"}"));
        Assert.IsGreaterThanOrEqualTo(5 * 20, Value("service_training_steps"));
        Assert.IsGreaterThanOrEqualTo(5, Value("service_model_swaps"));
        Assert.IsGreaterThan(0, Value("service_training_loss"));
    }

    private static (float[][] X, long[] Labels) Rows(Random random, int count)
    {
        long[] labels = [.. Enumerable.Range(0, count).Select(_ => (long)random.Next(Classes))];
        return ([.. labels.Select(l => Enumerable.Range(0, Features)
            .Select(j => random.NextSingle() + (j % Classes == l ? 1 : 0)).ToArray())], labels);
    }
}
