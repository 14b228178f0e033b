using System.Diagnostics;
using OrtCpr.Checkpoints;
using OrtCpr.Distributed.Launch;
using OrtCpr.Graph;
using OrtCpr.Tests.Samples;
using OrtCpr.Tests.Tool;

namespace OrtCpr.Tests.Collectives;

// The tool under mpirun. Inconclusive where there is none.
[TestClass]
[DoNotParallelize]
public sealed class MpiTests
{
    private static string Model => TestModels.Case("models/mlp_dynamo.onnx");

    private static string Tool => Path.Combine(AppContext.BaseDirectory, "OrtCpr.Tool.dll");

    private static (int Code, string Output) Launch(string launcher, int ranks, string[] words, Action<Process>? meanwhile = null,
        string? program = null)
    {
        bool isOpenMpi = launcher == "mpirun.openmpi";
        string[] options = isOpenMpi ? ["--allow-run-as-root", "--oversubscribe", "--bind-to", "none"] : [];
        var start = new ProcessStartInfo(launcher, [.. options, "-n", $"{ranks}", Environment.ProcessPath is string own
            && Path.GetFileNameWithoutExtension(own) == "dotnet" ? own : "dotnet", program ?? Tool, .. words])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        Process process;
        try
        {
            process = Process.Start(start)!;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            Assert.Inconclusive($"There is no {launcher} here.");
            throw;
        }
        using (process)
        {
            Task<string> output = process.StandardOutput.ReadToEndAsync(), errors = process.StandardError.ReadToEndAsync();
            meanwhile?.Invoke(process);
            if (!process.WaitForExit(TimeSpan.FromSeconds(100)))
            {
                process.Kill(entireProcessTree: true);
                Assert.Fail($"{launcher} did not end: {output.Result}{errors.Result}");
            }
            return (process.ExitCode, output.Result + errors.Result);
        }
    }

    private static string[] Words(TemporaryFolder folder, string job, int batchSize, params string[] more) =>
        ["train", Model, "--data", CommandTests.Data(folder, 90), "--lr", "0.01", "--threads", "1", "--batch-size", $"{batchSize}",
            "--kappa-init-method", "warm_start", "--kappa-init-param", "5", "--max-grad-norm", "1", "--out", folder[job],
            .. more.Contains("--epochs") ? [] : new[] { "--epochs", "4" }, .. more];

    private static double[] Weights(string job) => [.. new[] { "layers.0.weight", "layers.1.weight", "layers.2.bias" }
        .SelectMany(n => Heads.HeadModels.Initializer(File.ReadAllBytes(Path.Combine(job, "model.onnx")), n))];

    private static void AreClose(double[] expected, double[] found)
    {
        Assert.HasCount(expected.Length, found);
        for (int i = 0; i < expected.Length; i++) Assert.AreEqual(expected[i], found[i], 1e-4, $"{i}");
    }

    [TestMethod]
    [DataRow("mpirun.openmpi", 2)]
    [DataRow("mpirun.openmpi", 3)]
    [DataRow("mpirun.mpich", 2)]
    public void Operations_GiveWhatTheyShould(string launcher, int ranks)
    {
        (int code, string output) = Launch(launcher, ranks, ["--exchange"],
            program: Path.Combine(SampleRun.FolderOf("Distributed"), "Distributed.dll"));
        Assert.AreEqual(0, code, output);
        StringAssert.Contains(output, $"{ranks} processes: all operations give what they should");
    }

    [TestMethod]
    [DataRow("mpirun.openmpi", 2, 8, "")]
    [DataRow("mpirun.openmpi", 4, 4, "--shard-state --accumulation 2")]
    [DataRow("mpirun.mpich", 2, 8, "--shard-state")]
    public void Processes_TrainWhatOneDoes_WithTheWholeBatch(string launcher, int ranks, int batchSize, string options)
    {
        using var folder = new TemporaryFolder();
        string[] more = options.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        (int code, string output) = Launch(launcher, ranks, Words(folder, "ranks", batchSize, more));
        Assert.AreEqual(0, code, output);
        StringAssert.Contains(output, $"{ranks} processes, each with batches of {batchSize}");
        (code, output) = CommandTests.Run(Words(folder, "one", 16, [.. more.Where(o => o != "--shard-state")]));
        Assert.AreEqual(0, code, output);
        AreClose(Weights(folder["one"]), Weights(folder["ranks"]));
    }

    // Inputs of a model filled with numbers, every third label left out.
    private static string DataOf(TemporaryFolder folder, string model, int examples, bool masked)
    {
        var random = new Random(3);
        IReadOnlyList<BatchInput> inputs = TrainingGraphBuilder.Build(model).BatchInputs;
        SafetensorsFile.Write(folder["all.safetensors"], inputs.ToDictionary(i => i.Name, i =>
        {
            long[] dims = [examples, .. i.Dimensions!.Skip(1).Select(d => long.TryParse(d, out long n) ? n : 12)];
            int count = (int)dims.Aggregate(1L, (n, d) => n * d);
            return i.Type == ElementType.Float
                ? TensorData.From<float>([.. Enumerable.Range(0, count).Select(_ => random.NextSingle())], dims)
                : TensorData.From<long>([.. Enumerable.Range(0, count).Select(n => i.IsLabel && masked && n % 3 == 0 ? -100L
                    : random.Next(8))], dims);
        }));
        return folder["all.safetensors"];
    }

    [TestMethod]
    [DataRow("models/lenet.onnx", 2, "--sync-batch-normalization --optimizer sgd --lr 0.02", false)]
    // Not Adam, which makes steps of the rounding in the gradients of keys' biases, which are 0.
    [DataRow("models/gpt2_dynamo.onnx", 2, "--dropout inference --optimizer sgdcpr --lr 0.05 --max-grad-norm 1 --accumulation 2", true)]
    [DataRow("models/gpt2_dynamo.onnx", 4, "--dropout inference --optimizer sgdcpr --lr 0.05 --shard-state", true)]
    public void ModelsOfOtherKinds_TrainToo(string name, int ranks, string options, bool masked)
    {
        using var folder = new TemporaryFolder();
        string model = TestModels.Case(name);
        string[] Words(string job, int batchSize) => ["train", model, "--data", DataOf(folder, model, 44, masked), "--threads", "1",
            "--epochs", "2", "--batch-size", $"{batchSize}", "--kappa-init-method", "warm_start", "--kappa-init-param", "2", "--out",
            folder[job], .. options.Split(' ').Where(o => ranks > 1 || o != "--shard-state")];
        (int code, string output) = Launch("mpirun.openmpi", ranks, Words("ranks", 8 / ranks));
        Assert.AreEqual(0, code, output);
        Assert.AreEqual(0, CommandTests.Run(Words("one", 8)).ExitCode);
        using SafetensorsFile one = SafetensorsFile.Read(Path.Combine(folder["one"], "checkpoint.safetensors")),
            all = SafetensorsFile.Read(Path.Combine(folder["ranks"], "checkpoint.safetensors"));
        foreach ((string tensor, TensorData expected) in one.Tensors.Where(t => t.Value.Type == ElementType.Float
            && !t.Key.Contains(".exp_avg", StringComparison.Ordinal)))
        {
            double[] found = all.Tensors[tensor].ToDoubles(), wanted = expected.ToDoubles();
            for (int i = 0; i < found.Length; i++) Assert.AreEqual(wanted[i], found[i], 3e-4 * Math.Max(1, Math.Abs(wanted[i])), tensor);
        }
    }

    [TestMethod]
    public void ARun_GoesOnWithTwo_ThenFour_ThenOne()
    {
        using var folder = new TemporaryFolder();
        (int code, string output) = Launch("mpirun.openmpi", 2, Words(folder, "run", 8, "--steps", "7"));
        Assert.AreEqual(0, code, output);
        (code, output) = Launch("mpirun.openmpi", 4, Words(folder, "run", 4, "--steps", "14", "--resume", "--shard-state"));
        Assert.AreEqual(0, code, output);
        Assert.AreEqual(0, CommandTests.Run(Words(folder, "run", 16, "--resume")).ExitCode);
        Assert.AreEqual(0, CommandTests.Run(Words(folder, "one", 16)).ExitCode);
        AreClose(Weights(folder["one"]), Weights(folder["run"]));
    }

    [TestMethod]
    public void ARankThatThrows_EndsAll_WithItsMessage()
    {
        using var folder = new TemporaryFolder();
        var clock = Stopwatch.StartNew();
        // Data that lack what the model wants are found by every rank.
        (int code, string output) = Launch("mpirun.openmpi", 2, Words(folder, "run", 8, "--column", "x=nothing"));
        Assert.AreNotEqual(0, code);
        StringAssert.Contains(output, "rank 0 of 2");
        StringAssert.Contains(output, "there is no column 'nothing'");
        Assert.IsLessThan(60, clock.Elapsed.TotalSeconds);
    }

    [TestMethod]
    public void ARankThatIsKilled_EndsAll_AndTheCheckpointIsWhole()
    {
        using var folder = new TemporaryFolder();
        string checkpoint = Path.Combine(folder["run"], "checkpoint.safetensors");
        (int code, string output) = Launch("mpirun.openmpi", 2, Words(folder, "run", 8, "--epochs", "100000", "--checkpoint-every", "5"),
            mpirun =>
            {
                var clock = Stopwatch.StartNew();
                while ((!File.Exists(checkpoint) || Children(mpirun.Id).Length < 2) && clock.Elapsed.TotalSeconds < 60) Thread.Sleep(100);
                Thread.Sleep(1000);
                Process.GetProcessById(Children(mpirun.Id)[^1]).Kill();
            });
        Assert.AreNotEqual(0, code, output);
        using TrainingDriver driver = new(TrainingGraphBuilder.Build(Model));
        TrainingCheckpoint.Load(driver, checkpoint);
        Assert.IsGreaterThan(0, driver.Optimizer.Steps);
    }

    private static int[] Children(int parent) => [.. Process.GetProcesses().Select(p => p.Id).Where(id =>
    {
        try
        {
            return File.ReadAllText($"/proc/{id}/stat").Split(')')[1].Split(' ')[2] == $"{parent}";
        }
        catch (IOException)
        {
            return false;
        }
    })];

    [TestMethod]
    [DataRow("OMPI_COMM_WORLD_RANK=2 OMPI_COMM_WORLD_SIZE=4 OMPI_COMM_WORLD_LOCAL_RANK=0 OMPI_COMM_WORLD_LOCAL_SIZE=2 PMI_RANK=1 "
        + "PMI_SIZE=9",
        2, 4, 0, 2, true)]
    [DataRow("PMI_RANK=1 PMI_SIZE=3", 1, 3, null, 1, false)]
    [DataRow("SLURM_PROCID=5 SLURM_NTASKS=8 SLURM_LOCALID=1 PMIX_RANK=5", 5, 8, 1, 1, true)]
    [DataRow("SLURM_PROCID=5 SLURM_NTASKS=8", 5, 8, null, 1, null)]
    [DataRow("RANK=5", 0, 1, 0, 1, null)]
    public void ALauncher_IsKnownByItsVariables(string variables, int rank, int size, int? local, int localSize, bool? isOpenMpi)
    {
        Dictionary<string, string> all = variables.Split(' ').Select(v => v.Split('=')).ToDictionary(v => v[0], v => v[1]);
        RankEnvironment found = RankEnvironment.Of(all.GetValueOrDefault);
        Assert.AreEqual((rank, size, local, localSize, isOpenMpi),
            (found.Rank, found.Size, found.LocalRank, found.LocalSize, found.IsOpenMpi));
    }
}
