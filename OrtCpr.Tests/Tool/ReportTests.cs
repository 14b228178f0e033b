using System.Diagnostics;
using System.Text.RegularExpressions;
using OrtCpr.Tests.Vision;
using OrtCpr.Tool.Report;

namespace OrtCpr.Tests.Tool;

// A run as one HTML file.
[TestClass]
[DoNotParallelize]
public sealed partial class ReportTests
{
    private static TemporaryFolder Trained(params string[] words)
    {
        var folder = new TemporaryFolder();
        ShapePictures.Draw(folder["shapes"], 6);
        // A name that would be markup.
        Directory.Move(folder["shapes/star"], folder["shapes/<i>star&"]);
        PictureCommandTests.WriteModel(folder["model.onnx"]);
        (int code, string output) = CommandTests.Run(["train", folder["model.onnx"], "--data", folder["shapes"], "--batch-size", "10",
            "--threads", "1", "--out", folder["job"], "--epochs", "2", "--log-every", "1", .. words]);
        Assert.AreEqual(0, code, output);
        return folder;
    }

    [GeneratedRegex("(src|href)=\"(?!data:|#)|url\\((?!#)|<script|@import", RegexOptions.IgnoreCase)]
    private static partial Regex Outside { get; }

    [TestMethod]
    public void AReport_HasCurvesClassesPicturesAndBounds_AndNothingFromOutside()
    {
        using TemporaryFolder folder = Trained("--validation-split", "0.34", "--metric", "accuracy", "f1", "--report");
        string html = File.ReadAllText(Path.Combine(folder["job"], "report.html"));
        foreach (string part in new[] { "last validation accuracy", "<svg", "Classes", "Examples with the largest losses",
            "data:image/png;base64,", "Bounds", "conv.weight", "&lt;i&gt;star&amp;", "validation_split" })
        {
            StringAssert.Contains(html, part);
        }
        Assert.DoesNotContain("<i>star", html);
        Assert.IsFalse(Outside.IsMatch(html), Outside.Match(html).Value);

        // The examples that are shown are those with the largest losses, and all of the validation data are counted.
        ValidationDetails details = ValidationDetails.Read(folder["job"])!;
        Assert.AreEqual(10, details.Matrix.Count);
        double[] losses = [.. details.Worst.Select(w => w.Loss)];
        CollectionAssert.AreEqual(losses.OrderDescending().ToArray(), losses);
        Assert.HasCount(10, losses);
        Assert.AreEqual(details.Matrix.Accuracy, details.Worst.Count(w => w.Found == w.Truth) / 10.0);
    }

    [TestMethod]
    public void ARunWithoutClassesOrValidation_HasAReportToo_AndARunIsReportedLater()
    {
        using TemporaryFolder folder = Trained();
        (int code, string output) = CommandTests.Run("report", folder["job"], "--out", folder["page.html"]);
        Assert.AreEqual(0, code, output);
        string html = File.ReadAllText(folder["page.html"]);
        StringAssert.Contains(html, "<svg");
        Assert.DoesNotContain("Examples with", html);
        (code, output) = CommandTests.Run("report", folder["shapes"]);
        Assert.AreEqual(1, code);
        StringAssert.Contains(output, "has no metrics.csv");
    }

    [TestMethod]
    public void ABrowser_ShowsIt()
    {
        string browser = Chromium.FindOrSkip();
        using TemporaryFolder folder = Trained("--validation-split", "0.34", "--report");
        var start = new ProcessStartInfo(browser, ["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
            $"--user-data-dir={folder["browser"]}", new Uri(Path.Combine(folder["job"], "report.html")).AbsoluteUri])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string dom = process.StandardOutput.ReadToEnd();
        Assert.IsTrue(process.WaitForExit(60_000), errors.Result);
        StringAssert.Contains(dom, "Examples with the largest losses");
        StringAssert.Contains(dom, "</svg>");
    }
}
