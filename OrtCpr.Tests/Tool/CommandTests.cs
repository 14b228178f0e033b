using OrtCpr.Checkpoints;
using OrtCpr.Graph;

namespace OrtCpr.Tests.Tool;

// The commands of `ortcpr` in process, through the program's entry point.
[TestClass]
[DoNotParallelize]
public sealed class CommandTests
{
    private static (int ExitCode, string Output) Run(params string[] arguments)
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

    private static string Data(TemporaryFolder folder, int examples = 40, string labels = "labels")
    {
        var random = new Random(1);
        float[] x = [.. Enumerable.Range(0, examples * 10).Select(_ => random.NextSingle() - 0.5f)];
        long[] y = [.. Enumerable.Range(0, examples).Select(i => x[i * 10] > 0 ? 1L : 0)];
        SafetensorsFile.Write(folder["data.safetensors"],
        [
            new SafetensorsEntry("x", ElementType.Float, [examples, 10], s => s.Write(System.Runtime.InteropServices.MemoryMarshal.AsBytes<float>(x))),
            new SafetensorsEntry(labels, ElementType.Int64, [examples], s => s.Write(System.Runtime.InteropServices.MemoryMarshal.AsBytes<long>(y))),
        ], new Dictionary<string, string>());
        return folder["data.safetensors"];
    }

    private static string Model => TestModels.Case("models/mlp_dynamo.onnx");

    [TestMethod]
    public void Inspect_ListsEverything()
    {
        (int code, string output) = Run("inspect", Model, "--size", "batch=4", "--freeze", "layers.0.*");
        Assert.AreEqual(0, code, output);
        foreach (string part in new[] { "x Float[batch,10]", "logits Float[batch,5]", "Gemm", "layers.2.weight", "4 of 6 tensors trained", "training graph:", "batch = 4" }) StringAssert.Contains(output, part);
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
        (int code, string output) = Run("train", Model, "--data", Data(folder), "--epochs", "30", "--batch_size", "8", "--lr", "0.01", "--kappa_init_method", "warm_start", "--kappa_init_param", "50",
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
        StringAssert.Contains(Run("train", Model, "--data", data, "--optimizer", "adamw").Output, "lacks 'labels' Int64[batch]; it has classes, x");
        StringAssert.Contains(Run("train", Model, "--data", data, "--optimizer", "lion").Output, "--optimizer 'lion' is not known; expected one of adamcpr");
        StringAssert.Contains(Run("train", Model, "--data", data, "--reg-function", "l3").Output, "--reg-function 'l3'");
        StringAssert.Contains(Run("train", Model, "--data", data, "--batch-size", "0").Output, "--batch-size is 0");
        Assert.AreNotEqual(0, Run("train", Model, "--data", folder["nothing"]).ExitCode);
    }
}
