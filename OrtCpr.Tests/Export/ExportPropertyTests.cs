using System.Globalization;
using Google.Protobuf;
using Microsoft.ML.OnnxRuntime;
using OrtCpr.Checkpoints;
using OrtCpr.Devices;
using OrtCpr.Export;
using OrtCpr.Graph;
using OrtCpr.Graph.Adapters;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Parameters;

namespace OrtCpr.Tests.Export;

/// <summary>Whatever holds the weights: the exported file, run by a plain session, gives what the run's own evaluation
/// gives, and nothing else of the file changes.</summary>
[TestClass]
public sealed class ExportPropertyTests
{
    private static IEnumerable<object[]> Containers => ContainerModels.All.Keys.Select(k => new object[] { k });

    private static TrainingOptions Options(params NamePattern[] frozen) => new()
    {
        Loss = new MseLoss(),
        Parameters = new ParameterOptions { Freeze = [.. frozen] },
        Optimizer = new OptimizerOptions
        {
            Groups = [UpdateRule.AdamCpr(2e-2, constraint: new ConstrainNorm { Bound = Bound.AfterSteps(2) })],
        },
    };

    private static Batch Data()
    {
        float[] x = [.. Enumerable.Range(0, 24).Select(i => MathF.Sin(i))], y = [.. Enumerable.Range(0, 18).Select(i => MathF.Cos(i))];
        return new Batch().Add("x", x, 6, 4).Add("target", y, 6, 3);
    }

    private static void Steps(TrainingDriver driver, int count)
    {
        using Batch batch = Data();
        for (int i = 0; i < count; i++) driver.Step(batch);
    }

    private static double[] Evaluated(TrainingDriver driver)
    {
        using Batch batch = Data();
        using Evaluation result = driver.EvalStep(batch, "y");
        return Device.ReadOnHost(result["y"]).ToDoubles();
    }

    private static byte[] Exported(TrainingDriver driver)
    {
        using var stream = new MemoryStream();
        driver.ExportModel(stream);
        return stream.ToArray();
    }

    private static double[] Run(byte[] model)
    {
        // The further levels multiply by dequantized weights in lower precision, an error of 1e-3 on purpose.
        using var plain = new SessionOptions { GraphOptimizationLevel = GraphOptimizationLevel.ORT_ENABLE_BASIC };
        using var session = new InferenceSession(model, plain);
        using Batch batch = Data();
        using var options = new RunOptions();
        using IDisposableReadOnlyCollection<OrtValue> results = session.Run(options, ["x"], [batch.Tensors["x"]], ["y"]);
        return Device.ReadOnHost(results[0]).ToDoubles();
    }

    private static void AreClose(double[] expected, double[] actual, string what, double tolerance = 1e-6)
    {
        for (int i = 0; i < expected.Length; i++) Assert.AreEqual(expected[i], actual[i], tolerance, $"{what}, element {i}");
    }

    /// <summary>The file without the values of the tensors of some names.</summary>
    private static ByteString Without(byte[] model, IEnumerable<string> names)
    {
        ModelProto proto = ModelProto.Parser.ParseFrom(model);
        TensorPlaces places = TensorPlaces.Of(proto);
        foreach (FilePlace place in names.Select(n => places.Find(n)!))
        {
            int size = place.Type.BitsPerElement() / 8;
            place.Write(TensorData.Create(place.Type, place.Dimensions, new byte[place.Dimensions.Aggregate(1L, (n, d) => n * d) * size]));
        }
        return proto.ToByteString();
    }

    [TestMethod]
    [DynamicData(nameof(Containers))]
    public void Exported_IsWhatEvaluationComputes_AndTheRestOfTheFile(string container)
    {
        byte[] model = ContainerModels.Make(container).ToByteArray();
        using TrainingDriver driver = new(TrainingGraphBuilder.Build(model, Options()), new DriverOptions { Threads = 1 });
        AreClose(Run(model), Evaluated(driver), "before training");
        string[] trained = [.. driver.Plan.Trained.Select(t => t.Name)];
        Assert.HasCount(ContainerModels.All[container].Trained, trained, $"{string.Join(", ", trained)}\n{driver.Plan.Parameters}");
        using Batch batch = Data();
        double first = driver.EvalStep(batch).Loss;
        Steps(driver, 10);
        Assert.IsLessThan(first, driver.EvalStep(batch).Loss);
        byte[] exported = Exported(driver);
        // What is stored in half precision is rounded once more.
        AreClose(Evaluated(driver), Run(exported), "after training", container == "behind_cast" ? 2e-3 : 1e-6);
        Assert.AreEqual(Without(model, trained), Without(exported, trained), "something else changed");
    }

    [TestMethod]
    [DynamicData(nameof(Containers))]
    public void Frozen_KeepsItsBytes(string container)
    {
        byte[] model = ContainerModels.Make(container).ToByteArray();
        string[] all = [.. TrainingGraphBuilder.Build(model, Options()).Trained.Select(t => t.Name)];
        using TrainingDriver driver = new(TrainingGraphBuilder.Build(model, Options(all[0])), new DriverOptions { Threads = 1 });
        Steps(driver, 5);
        byte[] exported = Exported(driver);
        AreClose(Evaluated(driver), Run(exported), "after training", container == "behind_cast" ? 2e-3 : 1e-6);
        Assert.AreEqual(Without(model, all[1..]), Without(exported, all[1..]), "the frozen tensor changed");
        CollectionAssert.AreEqual(all[1..], driver.Plan.Trained.Select(t => t.Name).ToArray());
    }

    [TestMethod]
    [DynamicData(nameof(Containers))]
    public void Resumed_GoesOnBitForBit(string container)
    {
        using var folder = new TemporaryFolder();
        byte[] model = ContainerModels.Make(container).ToByteArray();
        using TrainingDriver one = new(TrainingGraphBuilder.Build(model, Options()), new DriverOptions { Threads = 1 }),
            other = new(TrainingGraphBuilder.Build(model, Options()), new DriverOptions { Threads = 1 });
        Steps(one, 3);
        TrainingCheckpoint.Save(one, folder["c"]);
        TrainingCheckpoint.Load(other, folder["c"]);
        Steps(one, 3);
        Steps(other, 3);
        CollectionAssert.AreEqual(Exported(one), Exported(other));
    }

    [TestMethod]
    [DynamicData(nameof(Containers))]
    public void ImportedWeights_AreInTheirPlaces(string container)
    {
        using var folder = new TemporaryFolder();
        byte[] model = ContainerModels.Make(container).ToByteArray();
        using TrainingDriver driver = new(TrainingGraphBuilder.Build(model, Options()), new DriverOptions { Threads = 1 });
        Steps(driver, 5);
        File.WriteAllBytes(folder["m.onnx"], model);
        SafetensorsFile.Write(folder["w.safetensors"],
            driver.Plan.Trained.ToDictionary(t => t.Name, t => driver.GetParameter(t.Name), StringComparer.Ordinal));
        WeightImport.Import(folder["m.onnx"], folder["w.safetensors"], folder["o.onnx"],
            driver.Plan.Trained.ToDictionary(t => t.Name, t => t.Name, StringComparer.Ordinal));
        AreClose(Run(Exported(driver)), Run(File.ReadAllBytes(folder["o.onnx"])), container);
    }

    [TestMethod]
    [DynamicData(nameof(Containers))]
    public void MergedAdapters_AreWhatEvaluationComputes(string container)
    {
        byte[] model = ContainerModels.Make(container).ToByteArray(), adapted;
        try
        {
            adapted = LoraAdapters.Attach(model, new LoraOptions { Rank = 2 });
        }
        catch (OptionException error) when (error.Message.Contains("There are: none", StringComparison.Ordinal))
        {
            // All products of these are in functions, where adapters are not attached.
            Assert.Contains(container, ["function"]);
            return;
        }
        TrainingOptions options = Options() with { Parameters = new ParameterOptions { TrainOnly = [LoraAdapters.Parameters] } };
        using TrainingDriver driver = new(TrainingGraphBuilder.Build(adapted, options), new DriverOptions { Threads = 1 });
        AreClose(Run(model), Evaluated(driver), "before training");
        Steps(driver, 10);
        byte[] merged = LoraAdapters.Merge(Exported(driver));
        AreClose(Evaluated(driver), Run(merged), "merged", 1e-5);
        string[] values = [.. TensorPlaces.Of(ModelProto.Parser.ParseFrom(model)).All.Where(p => p.Type.IsFloating()).Select(p => p.Name)];
        Assert.AreEqual(Without(model, values), Without(merged, values), "something else changed");
    }

    [TestMethod]
    public void SparseInitializers_ThatAreNotTrained_StaySparse()
    {
        byte[] model = ContainerModels.Make("sparse_initializer").ToByteArray();
        using TrainingDriver driver = new(TrainingGraphBuilder.Build(model, Options("W1")), new DriverOptions { Threads = 1 });
        Steps(driver, 2);
        Assert.HasCount(1, ModelProto.Parser.ParseFrom(Exported(driver)).Graph.SparseInitializer,
            string.Create(CultureInfo.InvariantCulture, $"{driver.Plan.Parameters}"));
    }
}
