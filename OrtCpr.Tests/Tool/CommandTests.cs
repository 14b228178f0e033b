using System.Globalization;
using OrtCpr.Checkpoints;
using OrtCpr.Graph;

namespace OrtCpr.Tests.Tool;

// The commands of `ortcpr` in process, through the program's entry point.
[TestClass]
[DoNotParallelize]
public sealed class CommandTests
{
    internal static (int ExitCode, string Output) Run(params string[] arguments)
    {
        TextWriter output = Console.Out, error = Console.Error;
        using var text = new StringWriter();
        Console.SetOut(text);
        Console.SetError(text);
        try
        {
            int code = (int)typeof(OrtCpr.Tool.ToolException).Assembly.EntryPoint!.Invoke(null, [arguments])!;
            return (code, text.ToString());
        }
        finally
        {
            Console.SetOut(output);
            Console.SetError(error);
        }
    }

    internal static string Data(TemporaryFolder folder, int examples = 40, string labels = "labels")
    {
        var random = new Random(1);
        float[] x = [.. Enumerable.Range(0, examples * 10).Select(_ => random.NextSingle() - 0.5f)];
        long[] y = [.. Enumerable.Range(0, examples).Select(i => x[i * 10] > 0 ? 1L : 0)];
        SafetensorsFile.Write(folder["data.safetensors"],
        [
            new SafetensorsEntry("x", ElementType.Float, [examples, 10], s =>
                s.Write(System.Runtime.InteropServices.MemoryMarshal.AsBytes<float>(x))),
            new SafetensorsEntry(labels, ElementType.Int64, [examples], s =>
                s.Write(System.Runtime.InteropServices.MemoryMarshal.AsBytes<long>(y))),
        ], new Dictionary<string, string>());
        return folder["data.safetensors"];
    }

    private static string Model => TestModels.Case("models/mlp_dynamo.onnx");

    [TestMethod]
    public void AnUnknownPrecision_IsRefused_WithTheWordsThatThereAre()
    {
        (int code, string output) = Run("bench", TestModels.Grokking, "--precision", "half");
        Assert.AreNotEqual(0, code);
        StringAssert.Contains(output, "--precision 'half' is not known; expected one of f32, tf32, bf16, f16");
    }

    [TestMethod]
    public void Bench_InBFloat16_TellsThatTheCpuIsForChecking()
    {
        (int code, string output) = Run("bench", TestModels.Grokking, "--size", "batch=2", "--range", "tokens=0..100", "--range",
            "labels=0..100", "--runs", "1", "--precision", "bf16");
        Assert.AreEqual(0, code, output);
        StringAssert.Contains(output, "warning: The CPU computes the rounding of BFloat16 by casts");
        StringAssert.Contains(output, "step: median");
    }

    [TestMethod]
    public void Inspect_ListsEverything()
    {
        (int code, string output) = Run("inspect", Model, "--size", "batch=4", "--freeze", "layers.0.*");
        Assert.AreEqual(0, code, output);
        foreach (string part in new[] { "x Float[batch,10]", "logits Float[batch,5]", "Gemm", "layers.2.weight", "4 of 6 tensors trained",
            "training graph:", "batch = 4" })
        {
            StringAssert.Contains(output, part);
        }
        (code, output) = Run("inspect", Model, "--size", "batch");
        Assert.AreEqual(1, code);
        StringAssert.Contains(output, "expected NAME=N");
    }

    // One that is no model does not hide the others; a folder where one file is expected is called one.
    [TestMethod]
    public void Inspect_OfAFolder_ShowsEveryModel()
    {
        using var folder = new TemporaryFolder();
        StringAssert.Contains(Run("inspect", folder.FolderPath).Output, "has no .onnx file");
        File.Copy(Model, folder["a.onnx"]);
        File.WriteAllText(folder["b.onnx"], "no model");
        (int code, string output) = Run("inspect", folder.FolderPath);
        Assert.AreEqual(1, code);
        foreach (string part in new[] { "a.onnx", "6 of 6 tensors trained", "b.onnx" }) StringAssert.Contains(output, part);
        StringAssert.Contains(Run("gradcheck", folder.FolderPath).Output, "is a folder; expected a file");
    }

    [TestMethod]
    public void Devices_ListsTheCpu_AndWhyTheRestIsNotThere()
    {
        (int code, string output) = Run("devices", "webgpu:/nowhere");
        Assert.AreEqual(0, code);
        StringAssert.Contains(output, "available  cpu");
        StringAssert.Contains(output, "no provider library at '/nowhere'");
    }

    [TestMethod]
    public void Train_LearnsFromASafetensorsFile_WithThePapersNamesOfOptions()
    {
        using var folder = new TemporaryFolder();
        (int code, string output) =
            Run("train", Model, "--data", Data(folder), "--epochs", "30", "--batch_size", "8", "--lr", "0.01", "--kappa_init_method",
            "warm_start", "--kappa_init_param", "50",
            "--reg_function", "std", "--threads", "1", "--out", folder["job"]);
        Assert.AreEqual(0, code, output);
        StringAssert.Contains(output, "bounds set 3/3");
        using TrainingDriver driver = ArtifactsFolder.Load(folder["job"]);
        Assert.AreEqual(150, driver.Optimizer.Steps);
        Assert.IsTrue(File.Exists(Path.Combine(folder["job"], "model.onnx")));
    }

    [TestMethod]
    public void Train_RefusesDataAndOptionsThatMakeNoSense()
    {
        using var folder = new TemporaryFolder();
        string data = Data(folder, labels: "classes");
        StringAssert.Contains(Run("train", Model, "--data", Data(folder), "--validation-split", "2").Output,
            "--validation-split is 2; expected 0 to below 1");
        data = Data(folder, labels: "classes");
        StringAssert.Contains(Run("train", Model, "--data", data, "--optimizer", "adamw", "--out", folder["job"]).Output,
            "no column is label 'labels' Int64[batch]; columns are 'classes' Int64[], 'x' Float[10]");
        StringAssert.Contains(Run("train", Model, "--data", data, "--out", folder["job"], "--optimizer", "lion").Output,
            "--optimizer 'lion' is not known; expected one of adamcpr");
        StringAssert.Contains(Run("train", Model, "--data", data, "--out", folder["job"], "--reg-function", "l3").Output,
            "--reg-function 'l3'");
        StringAssert.Contains(Run("train", Model, "--data", data, "--out", folder["job"], "--batch-size", "0").Output, "--batch-size is 0");
        Assert.AreNotEqual(0, Run("train", Model, "--data", folder["nothing"]).ExitCode);
    }

    // A run from a table: logs, picture, evaluation, export, the same run again from its own config, and going on from a checkpoint.
    [TestMethod]
    public void ARunFromATable_FromTheFirstLineToTheExport()
    {
        using var folder = new TemporaryFolder();
        var random = new Random(1);
        File.WriteAllLines(folder["table.csv"],
            Enumerable.Range(0, 120).Select(_ => Enumerable.Range(0, 10).Select(_ => random.NextDouble() - 0.5).ToArray())
            .Select(x => $"{string.Join(',', x.Select(v => v.ToString("F4", CultureInfo.InvariantCulture)))},{(x[0] > 0 ? "high" : "low")}")
            .Prepend(string.Join(',', Enumerable.Range(0, 10).Select(i => $"f{i}").Append("class"))));
        string job = folder["job"];
        (int code, string output) =
            Run("train", Model, "--data", folder["table.csv"], "--label", "class", "--validation-split", "0.25", "--metric", "accuracy",
            "--epochs", "6", "--batch-size", "10", "--lr", "0.01", "--threads", "1",
            "--json-lines", "--tensorboard", "--log-every", "3", "--out", job);
        Assert.AreEqual(0, code, output);
        StringAssert.Contains(File.ReadAllText(Path.Combine(job, "run.json")), "\"label\": \"class\"");
        Assert.DoesNotContain("kappa_init_param", output);
        foreach (string part in new[] { "90 examples, 30 to evaluate on, in batches of 10; 54 steps", "layers.2.weight", "bounds set 3/3",
            "validation accuracy", "54 steps in" })
        {
            StringAssert.Contains(output, part);
        }
        foreach (string file in new[] { "run.json", "metrics.csv", "metrics.jsonl", "constraints.csv", "checkpoint.safetensors",
            "best.safetensors", "model.onnx", "plot.png" })
        {
            Assert.IsTrue(File.Exists(Path.Combine(job, file)), file);
        }
        Assert.HasCount(18 + 6, File.ReadAllLines(Path.Combine(job, "metrics.jsonl")));
        double[] weights = Weights(job);

        (code, output) = Run("evaluate", job, "--checkpoint", Path.Combine(job, "best.safetensors"), "--data", folder["table.csv"],
            "--label", "class", "--metric", "accuracy");
        Assert.AreEqual(0, code, output);
        StringAssert.Contains(output, "examples 120");
        StringAssert.Contains(output, "accuracy 0.");
        Assert.AreEqual(0, Run("export", job, "--out", folder["model.onnx"]).ExitCode);
        Assert.AreEqual(0, Run("export", job, "--out", folder["job.onnx"], "--training-info").ExitCode);
        using (TrainingDriver written = TrainingInfo.Open(folder["job.onnx"])) Assert.IsGreaterThan(0, written.Optimizer.Steps);
        Assert.IsTrue(File.Exists(folder["model.onnx"]));
        Assert.AreEqual(0, Run("plot", job, "--out", folder["a.png"]).ExitCode);
        Assert.IsGreaterThan(10_000, new FileInfo(folder["a.png"]).Length);
        Assert.AreEqual(0, Run("plot", job, job, "--epochs", "--log-axis", "--out", folder["b.png"]).ExitCode);
        Assert.IsGreaterThan(10_000, new FileInfo(folder["b.png"]).Length);

        // The config says everything; what stands in front of it goes before it.
        Assert.AreEqual(0, Run("train", "--config", Path.Combine(job, "run.json"), "--out", folder["again"]).ExitCode);
        CollectionAssert.AreEqual(weights, Weights(folder["again"]));
        Assert.AreEqual(0, Run("train", "--config", Path.Combine(job, "run.json"), "--out", folder["half"], "--steps", "20",
            "--kappa-init-param", "10", "--kappa-init-method", "warm_start").ExitCode);
        Assert.AreEqual(0, Run("train", "--config", Path.Combine(job, "run.json"), "--out", folder["half"], "--resume",
            "--kappa-init-method", "warm_start", "--kappa-init-param", "10").ExitCode);
        CollectionAssert.AreEqual(weights, Weights(folder["half"]), "54 steps, a fifth of which is 10");
    }

    private static double[] Weights(string job)
    {
        using TrainingDriver driver = ArtifactsFolder.Load(job);
        return driver.ToBuffer().ToDoubles();
    }

    // As many steps as are asked for, whatever an epoch has; a short run is logged; texts stay texts; the model on the command line goes
    // before the file's.
    [TestMethod]
    public void AShortRun_AndItsConfig()
    {
        using var folder = new TemporaryFolder();
        string job = folder["job"], config = Path.Combine(job, "run.json");
        (int code, string output) =
            Run("train", Model, "--data", Data(folder), "--batch-size", "20", "--steps", "20", "--log-every", "50", "--schedule",
            "one_cycle",
            "--warmup-steps", "5", "--lr", "0.01", "--label", "007", "--threads", "1", "--out", job);
        Assert.AreEqual(0, code, output);
        StringAssert.Contains(output, "20 steps in");
        StringAssert.Contains(output, "The run has 20 steps, too few for bounds at an inflection point");
        StringAssert.Contains(output, "bounds set 3/3");
        StringAssert.Contains(File.ReadAllText(config), "\"label\": \"007\"");
        string[] rows = File.ReadAllLines(Path.Combine(job, "metrics.csv"));
        StringAssert.StartsWith(rows.Single(r => r.StartsWith("20,", StringComparison.Ordinal)), "20,9,");
        (code, output) = Run("train", "--threads", "1", folder["other.onnx"], "--config", config, "--out", folder["again"]);
        Assert.AreEqual(1, code);
        StringAssert.Contains(output, "other.onnx");
    }

    [TestMethod]
    public void AnErrorOfOurs_IsOneLine_AndItsDetailsAreInAFile()
    {
        TextWriter error = Console.Error;
        using var text = new StringWriter();
        Console.SetError(text);
        try
        {
            OrtCpr.Tool.UnexpectedError.Report(new InvalidOperationException("first\nsecond"), ["train", "x"]);
        }
        finally
        {
            Console.SetError(error);
        }
        string line = text.ToString().TrimEnd();
        Assert.HasCount(1, line.Split('\n'));
        StringAssert.Contains(line, "InvalidOperationException: first)");
        string path = line.Split('\'')[1];
        StringAssert.Contains(File.ReadAllText(path), "ortcpr train x");
        File.Delete(path);
    }

    [TestMethod]
    public void Compare_ShowsMeanAndDeviation()
    {
        using var folder = new TemporaryFolder();
        (int code, string output) =
            Run("train", Model, "--data", Data(folder), "--compare", "adamw,adamcpr", "--seeds", "2", "--epochs", "2", "--log-every", "1",
            "--threads", "1", "--out", folder["all"]);
        Assert.AreEqual(0, code, output);
        foreach (string part in new[] { "adamw          2  ", "adamcpr        2  ", " ± " }) StringAssert.Contains(output, part);
        Assert.IsTrue(File.Exists(Path.Combine(folder["all"], "compare.png"))
            && File.Exists(Path.Combine(folder["all"], "adamw-seed1", "model.onnx")));
        StringAssert.Contains(Run("train", Model, "--data", Data(folder), "--compare", "adamw,lion", "--out", folder["all"]).Output,
            "--compare 'lion' is not known");
        StringAssert.Contains(Run("plot", folder["nothing"]).Output, "has no metrics.csv");
    }

    [TestMethod]
    public void Lora_TrainsAdaptersAlone_AndMergesThem()
    {
        using var folder = new TemporaryFolder();
        (int code, string output) =
            Run("train", Model, "--data", Data(folder), "--lora", "r=2,alpha=4,targets=layers.*", "--epochs", "2", "--threads", "1",
            "--out", folder["job"]);
        Assert.AreEqual(0, code, output);
        StringAssert.Contains(output, "layers.0.weight.lora_A");
        Assert.AreEqual(new FileInfo(Model).Length, new FileInfo(Path.Combine(folder["job"], "merged.onnx")).Length, 2000.0);
        StringAssert.Contains(Run("train", Model, "--data", Data(folder), "--lora", "r=x", "--out", folder["job"]).Output,
            "--lora 'r=x' makes no sense");
    }

    [TestMethod]
    public void Config_WhatIsWrong()
    {
        using var folder = new TemporaryFolder();
        StringAssert.Contains(Run("train", "--config", folder["no.json"]).Output, "no.json");
        File.WriteAllText(folder["a.json"], "{");
        StringAssert.Contains(Run("train", "--config", folder["a.json"]).Output, "is no JSON");
        File.WriteAllText(folder["a.json"], "{\"lr\": {}}");
        StringAssert.Contains(Run("train", "--config", folder["a.json"]).Output, "'lr' is an object");
        Assert.AreNotEqual(0, Run("train", "--config").ExitCode);
    }

    [TestMethod]
    public void Bench_TellsTheTimeOfAStep() =>
        StringAssert.Contains(Run("bench", Model, "--size", "batch=4", "--runs", "3", "--threads", "1").Output, "step: median ");
}
