using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Microsoft.ML.OnnxRuntime;
using OrtCpr.Tests.House;
using OrtCpr.Tests.OrtTraining;
using OrtCpr.Tests.Tool;

namespace OrtCpr.Tests.Samples;

// The page that trains, in a browser: drawing, teaching, training, the way back, and the same numbers as here.
[TestClass]
[DoNotParallelize]
public sealed class BrowserTests
{
    private static readonly (double X, double Y)[] Seven = [(0.2, 0.2), (0.5, 0.2), (0.8, 0.2), (0.6, 0.5), (0.4, 0.85)];

    [TestMethod]
    public void Model_IsWhatTheCodeWrites() => CollectionAssert.AreEqual(
        File.ReadAllBytes(Path.Combine(Repository.Root, "artifacts", "digits.onnx")), DigitsModel.Write());

    [TestMethod]
    public void WithoutThePackage_TheSampleSaysWhatToDo()
    {
        using var folder = new TemporaryFolder();
        (int code, string output) = SampleRun.Of("Browser", folder.FolderPath, "--runtime", "nowhere");
        Assert.AreEqual(1, code, output);
        StringAssert.Contains(output, "lacks ort.training.wasm.min.mjs, ort-training-wasm-simd-threaded.mjs");
        StringAssert.Contains(output, "dotnet build samples/Browser");
    }

    [TestMethod]
    public async Task Artifacts_AreThoseOfTheTool()
    {
        using var folder = new TemporaryFolder();
        string runtime = Path.Combine(folder.FolderPath, "runtime");
        Directory.CreateDirectory(runtime);
        foreach (string file in new[] { "ort.training.wasm.min.mjs", "ort-training-wasm-simd-threaded.mjs",
            "ort-training-wasm-simd-threaded.wasm" })
        {
            File.WriteAllText(Path.Combine(runtime, file), "");
        }
        using SampleProcess sample = SampleProcess.Start("Browser", folder.FolderPath, "--port", "0", "--steps", "5", "--out", "out",
            "--runtime", runtime);
        string url = await sample.WordBehindAsync("open ");
        (int code, string output) = CommandTests.Run("artifacts", "build", folder["out/digits.onnx"], "--target", "ort-training-1.19",
            "--loss", "cross_entropy", "--optimizer", "adamcpr", "--kappa-init-method", "dependent", "--kappa-init-param", "1", "--out",
            folder["job"]);
        Assert.AreEqual(0, code, output);
        using var http = new HttpClient { BaseAddress = new Uri(url) };
        foreach (string file in new[] { "training_model.onnx", "eval_model.onnx", "optimizer_model.onnx", "checkpoint" })
        {
            byte[] served = await http.GetByteArrayAsync($"/job/artifacts/{file}");
            CollectionAssert.AreEqual(File.ReadAllBytes(folder[$"job/{file}"]), served, file);
        }
        foreach ((string file, string type) in new[] { ("wasm", "application/wasm"), ("mjs", "text/javascript") })
        {
            using HttpResponseMessage answer = await http.GetAsync($"/ort/ort-training-wasm-simd-threaded.{file}");
            Assert.AreEqual(type, answer.Content.Headers.ContentType!.MediaType);
            Assert.AreEqual("require-corp", answer.Headers.GetValues("Cross-Origin-Embedder-Policy").Single());
        }
        using HttpResponseMessage refused = await http.PostAsJsonAsync("/model",
            new { parameters = new[] { 1 }, images = Array.Empty<float[]>(), logits = Array.Empty<float[]>() });
        Assert.AreEqual(System.Net.HttpStatusCode.BadRequest, refused.StatusCode);
        StringAssert.Contains(await refused.Content.ReadAsStringAsync(), "1 numbers came; expected 14074 finite ones");
    }

    // By mouse on a desk, by finger on a telephone.
    [TestMethod]
    [DataRow(1200, 900, false)]
    [DataRow(390, 844, true)]
    public async Task Page_Trains_AndItsModelComesBack(int width, int height, bool isTouch)
    {
        string browser = Chromium.FindOrSkip(), runtime = GenuinePackage.FindOrSkip();
        using var folder = new TemporaryFolder();
        using SampleProcess sample = SampleProcess.Start("Browser", folder.FolderPath, "--port", "0", "--steps", "200", "--out", "out",
            "--runtime", runtime);
        using Chromium page = await Chromium.OpenAsync(browser, await sample.WordBehindAsync("open "), width, height);
        await page.WaitForAsync("document.body?.dataset.state ?? ''", "ready");
        Assert.AreEqual("true", await page.EvaluateAsync("document.documentElement.scrollWidth <= innerWidth"), "as wide as the window");

        await page.DrawAsync("#pad", isTouch, Seven);
        await page.WaitForAsync("document.getElementById('guess').textContent.startsWith('It reads: 7')", "true");
        await TeachAsync(page, 7);
        for (int i = 0; i < 5; i++)
        {
            await page.ClickAsync("#sample");
            string drawn = await page.EvaluateAsync("document.getElementById('status').textContent.match(/a (\\d) as/)[1]");
            await TeachAsync(page, int.Parse(drawn, CultureInfo.InvariantCulture));
        }
        await page.ClickAsync("#train");
        await page.WaitForAsync("document.body.dataset.state", "ready");
        StringAssert.Contains(await TextAsync(page, "status"), "It reads 100 % of your examples right");
        StringAssert.Contains(await page.EvaluateAsync("document.getElementById('ratio').getAttribute('aria-label')"), "fc2.weight");
        Assert.DoesNotContain("not found", await TextAsync(page, "matrices"));

        await page.ClickAsync("#take");
        await page.WaitForAsync("document.getElementById('taken').textContent.startsWith('Stock ONNX Runtime reads 6 of 6')", "true");
        Assert.IsLessThan(1e-3, Number(await page.EvaluateAsync("document.getElementById('taken').dataset.largest")));
        using (var session = new InferenceSession(folder["out/personal.onnx"]))
        {
            CollectionAssert.AreEqual(new[] { -1, 10 }, session.OutputMetadata["logits"].Dimensions);
        }
        CollectionAssert.AreNotEqual(File.ReadAllBytes(folder["out/digits.onnx"]), File.ReadAllBytes(folder["out/personal.onnx"]));

        await page.ClickAsync("#check");
        await page.WaitForAsync("document.body.dataset.state", "ready");
        await AssertSameRunAsync(page, File.ReadAllText(folder["out/job.json"]));
        Assert.IsEmpty(page.Complaints, string.Join('\n', page.Complaints));
        Assert.AreEqual("0", await page.EvaluateAsync(
            "performance.getEntriesByType('resource').filter(r => !r.name.startsWith(location.origin)).length"), "from other servers");
    }

    private static async Task TeachAsync(Chromium page, int digit)
    {
        await page.WaitForAsync("document.querySelector('#labels button').disabled", "false");
        await page.ClickAsync($"#labels button:nth-child({digit + 1})");
        await page.WaitForAsync("document.body.dataset.state", "ready");
    }

    // The page's own verdict, and what its table shows against the file that the sample wrote.
    private static async Task AssertSameRunAsync(Chromium page, string job)
    {
        foreach (string what in new[] { "loss", "lambda", "size" })
        {
            Assert.IsLessThanOrEqualTo(1e-4, Number(await page.EvaluateAsync($"document.getElementById('verdict').dataset.{what}")), what);
        }
        StringAssert.StartsWith(await TextAsync(page, "verdict"), "Yes: over 20 steps");
        double[] browser = [.. (await page.EvaluateAsync(
            "[...document.querySelectorAll('#steps tbody tr')].map(r => r.cells[1].textContent).join(' ')")).Split(' ').Select(Number)];
        JsonArray steps = JsonNode.Parse(job)!["check"]!["steps"]!.AsArray();
        Assert.HasCount(20, browser);
        for (int i = 0; i < browser.Length; i++) Assert.AreEqual((double)steps[i]!["loss"]!, browser[i], 1e-4, $"step {i + 1}");
        Assert.IsTrue(steps.Any(s => s!["lambdas"]!.AsObject().Any(l => (double)l.Value! > 0)), "a λ above 0 was compared");
    }

    private static Task<string> TextAsync(Chromium page, string id) => page.EvaluateAsync($"document.getElementById('{id}').textContent");

    private static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);
}
