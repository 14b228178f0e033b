using System.Globalization;
using System.Text.Json.Nodes;
using Microsoft.ML.OnnxRuntime;
using OrtCpr.Tests.House;
using OrtCpr.Tests.OrtTraining;

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
            await TeachAsync(page, int.Parse(await page.EvaluateAsync("document.getElementById('status').textContent.match(/a (\\d) as/)[1]"),
                CultureInfo.InvariantCulture));
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
