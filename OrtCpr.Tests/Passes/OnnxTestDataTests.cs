using Microsoft.ML.OnnxRuntime;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;
using OrtCpr.Graph.Passes;
using OrtCpr.Tests.Gradients;

namespace OrtCpr.Tests.Passes;

/// <summary>The models that the repository onnx/onnx keeps in onnx/backend/test/data, when the variable
/// ORTCPR_ONNX_TEST_DATA names that folder: raised, each gives the outputs that lie beside it, and which ones
/// train is told.</summary>
[TestClass]
public sealed class OnnxTestDataTests
{
    private const string Variable = "ORTCPR_ONNX_TEST_DATA";

    public TestContext TestContext { get; set; } = null!;

    private static string Folder()
    {
        string? folder = Environment.GetEnvironmentVariable(Variable);
        if (folder is null || !Directory.Exists(folder)) Assert.Inconclusive($"{Variable} names no folder.");
        return folder;
    }

    private static string[] Models(string folder) =>
        [.. Directory.GetFiles(folder, "*.onnx", SearchOption.AllDirectories).Order(StringComparer.Ordinal)];

    [TestMethod]
    public void RaisedModels_GiveTheOutputsBesideThem()
    {
        string folder = Folder();
        var wrong = new List<string>();
        int compared = 0;
        foreach (string path in Models(folder))
        {
            foreach (string data in Directory.GetDirectories(Path.GetDirectoryName(path)!, "test_data_set_*").Order(StringComparer.Ordinal))
            {
                try
                {
                    if (Apart(path, data) is not double apart) continue;
                    compared++;
                    if (!(apart <= 1e-3)) wrong.Add($"{Path.GetRelativePath(folder, path)}: {apart:G3}");
                }
                catch (Exception error) when (error is OrtCprException or OnnxRuntimeException)
                {
                    wrong.Add($"{Path.GetRelativePath(folder, path)}: {error.GetType().Name} {error.Message}");
                }
            }
        }
        foreach (string line in wrong) TestContext.WriteLine(line);
        TestContext.WriteLine($"{compared} sets compared, {wrong.Count} wrong.");
        Assert.IsEmpty(wrong, string.Join('\n', wrong));
    }

    [TestMethod]
    public void ModelsThatTrain_AreTold()
    {
        string folder = Folder();
        int trained = 0, differentiated = 0;
        string[] models = Models(folder);
        var reasons = new List<string>();
        foreach (string path in models)
        {
            string? problem;
            try
            {
                problem = ModelInspector.Inspect(path).Problem;
            }
            catch (OrtCprException error)
            {
                problem = error.Message;
            }
            if (problem is null) trained++;
            else if (problem.Contains("no trained parameter", StringComparison.Ordinal) && IsDifferentiated(path)) differentiated++;
            else reasons.Add($"{Path.GetRelativePath(folder, path)}: {problem.Split('\n')[0]}");
        }
        foreach (string reason in reasons) TestContext.WriteLine(reason);
        TestContext.WriteLine(
            $"{trained} of {models.Length} models train; {differentiated} have no parameters and give gradients of their inputs.");
        Assert.IsGreaterThan(0, trained);
    }

    [TestMethod]
    public void FixedBatchesThatAreFreed_AreTold()
    {
        string folder = Folder();
        int freed = 0, fixedOnes = 0;
        foreach (string path in Models(folder))
        {
            try
            {
                ModelFile file = ModelFile.Load(path);
                OnnxModel model = RegulariseModel.Run(file, new Dictionary<string, TensorData>());
                InferShapes.Run(model);
                FreeBatch.Result result = FreeBatch.Run(model, new Dictionary<string, int>());
                if (result.Size is null) continue;
                fixedOnes++;
                if (result.Model is not null) freed++;
                else TestContext.WriteLine($"{Path.GetRelativePath(folder, path)}: {result.Problem}");
            }
            catch (OrtCprException)
            {
                // Told by the test above.
            }
        }
        TestContext.WriteLine($"{freed} of {fixedOnes} fixed batches are freed.");
        Assert.IsGreaterThan(0, freed);
    }

    private static bool IsDifferentiated(string path)
    {
        ModelFile file = ModelFile.Load(path);
        OnnxGraph graph = RegulariseModel.Run(file, new Dictionary<string, TensorData>()).Graph;
        try
        {
            GradientModel model = GradientModel.Build(path, [.. graph.Outputs.Where(o => o.Type.IsFloating()).Select(o => o.Name)],
                [.. graph.Inputs.Where(i => i.Type.IsFloating()).Select(i => i.Name)]);
            using InferenceSession session = RuleCheck.Open(model.ToBytes());
            return model.Gradients.Count > 0;
        }
        catch (OrtCprException)
        {
            return false;
        }
    }

    /// <summary>The greatest relative difference of an output; null where inputs or outputs are no numbers.</summary>
    private static double? Apart(string path, string data)
    {
        ModelFile file = ModelFile.Load(path);
        // Gradients as operators, which ONNX Runtime does not know.
        if (file.Proto.OpsetImport.Any(o => o.Domain == "ai.onnx.preview.training")) return null;
        OnnxModel model = RegulariseModel.Run(file, new Dictionary<string, TensorData>());
        TensorData?[] inputs = Read(data, "input_*.pb"), outputs = Read(data, "output_*.pb");
        if (inputs.Concat(outputs).Any(t => t is null || t.Type == ElementType.String)
            || inputs.Length > model.Graph.Inputs.Count)
        {
            return null;
        }
        if (model.Graph.Inputs.Concat(model.Graph.Outputs).Any(v => v.Type is ElementType.Undefined or ElementType.String)) return null;
        Dictionary<string, TensorData> feeds = model.Graph.Inputs.Zip(inputs).ToDictionary(p => p.First.Name, p => p.Second!,
            StringComparer.Ordinal);
        string[] names = [.. model.Graph.Outputs.Select(o => o.Name)];
        using InferenceSession session = RuleCheck.Open(GraphWriter.ToBytes(model));
        Dictionary<string, TensorData> results = RuleCheck.Evaluate(session, feeds, names);
        double worst = 0;
        for (int i = 0; i < outputs.Length; i++)
        {
            TensorData result = results[names[i]];
            if (!outputs[i]!.Dimensions.SequenceEqual(result.Dimensions)) return double.PositiveInfinity;
            double[] wanted = outputs[i]!.ToDoubles(), found = result.ToDoubles();
            for (int k = 0; k < wanted.Length; k++)
            {
                if (!wanted[k].Equals(found[k])) worst = Math.Max(worst, Math.Abs(wanted[k] - found[k]) / (1 + Math.Abs(wanted[k])));
            }
        }
        return worst;
    }

    private static TensorData?[] Read(string folder, string pattern) => [.. Directory.GetFiles(folder, pattern)
        .OrderBy(f => int.Parse(Path.GetFileNameWithoutExtension(f).Split('_')[^1], System.Globalization.CultureInfo.InvariantCulture))
        .Select(f =>
        {
            try
            {
                return TensorSerializer.Read(new TensorSite(TensorProto.Parser.ParseFrom(File.ReadAllBytes(f)), f), null, f);
            }
            catch (Exception error) when (error is OrtCprException or Google.Protobuf.InvalidProtocolBufferException)
            {
                // A sequence or an optional.
                return null;
            }
        })];
}
