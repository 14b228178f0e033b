using System.Security.Cryptography;
using Google.Protobuf;
using OrtCpr.Graph;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Tests.Onnx;

[TestClass]
public sealed class WeightInitializationTests
{
    [TestMethod]
    public void Grokking_DrawsItsNineWeights()
    {
        using ModelFile model = ModelFile.Load(OnnxModels.Grokking);
        Assert.IsTrue(WeightInitialization.IsNeeded(model));
        IReadOnlyDictionary<string, TensorData> drawn = WeightInitialization.Draw(model, 1);
        Assert.HasCount(9, drawn);
        Assert.AreEqual(226_816, drawn.Values.Sum(tensor => tensor.ElementCount));
        double[] normal = [.. drawn.Values.Where(tensor => tensor.Dimensions.Count == 2).SelectMany(tensor => tensor.ToDoubles())];
        Assert.AreEqual(0, normal.Average(), 1e-3);
        Assert.AreEqual(1 / Math.Sqrt(128), Math.Sqrt(normal.Average(value => value * value)), 1e-3);
        ModelProto whole = ModelFile.Load(ModelFile.ToBytes(model.Proto, drawn)).Proto;
        Assert.IsFalse(whole.Graph.Initializer.Any(ExternalDataReference.IsExternal));
    }

    [TestMethod]
    public void Draw_IsTheSameBitsEverywhere()
    {
        using ModelFile model = ModelFile.Load(OnnxModels.Grokking);
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach ((string _, TensorData tensor) in WeightInitialization.Draw(model, 42).OrderBy(pair => pair.Key, StringComparer.Ordinal))
            hash.AppendData(tensor.Bytes.Span);
        // A change of this value breaks the promise that a seed gives the same weights in every version.
        Assert.AreEqual("779A20EFDE6363F2", Convert.ToHexString(hash.GetHashAndReset())[..16]);
    }

    [TestMethod]
    public void Draw_DependsOnSeedAndName_NotOnTheOrderOfNodes()
    {
        ModelProto model = Drawn(Random("RandomNormal", "a", 8), Random("RandomNormal", "b", 8));
        ModelProto reversed = Drawn(Random("RandomNormal", "b", 8), Random("RandomNormal", "a", 8));
        CollectionAssert.AreEqual(Draw(model, 7)["a"].ToArray<float>(), Draw(reversed, 7)["a"].ToArray<float>());
        CollectionAssert.AreNotEqual(Draw(model, 7)["a"].ToArray<float>(), Draw(model, 8)["a"].ToArray<float>());
        CollectionAssert.AreNotEqual(Draw(model, 7)["a"].ToArray<float>(), Draw(model, 7)["b"].ToArray<float>());
    }

    [TestMethod]
    public void ANodesOwnSeed_Wins()
    {
        ModelProto model = Drawn(Random("RandomUniform", "a", 8, ("seed", 3)), Random("RandomUniform", "b", 8, ("seed", 3)));
        CollectionAssert.AreEqual(Draw(model, 1)["a"].ToArray<float>(), Draw(model, 2)["a"].ToArray<float>());
        CollectionAssert.AreEqual(Draw(model, 1)["a"].ToArray<float>(), Draw(model, 1)["b"].ToArray<float>());
    }

    [TestMethod]
    public void RandomUniform_FillsItsInterval()
    {
        double[] values = Draw(Drawn(Random("RandomUniform", "a", 10_000, ("low", -2), ("high", 6))), 5)["a"].ToDoubles();
        Assert.IsTrue(values.All(value => value is >= -2 and < 6));
        Assert.AreEqual(2, values.Average(), 0.1);
        Assert.IsLessThan(-1.99, values.Min());
    }

    [TestMethod]
    public void RandomNormal_HasMeanScaleAndTails()
    {
        double[] values = Draw(Drawn(Random("RandomNormal", "a", 100_000, ("mean", 10), ("scale", 0.5f))), 5)["a"].ToDoubles();
        Assert.AreEqual(10, values.Average(), 0.01);
        Assert.AreEqual(0.25, values.Average(value => (value - 10) * (value - 10)), 0.005);
        Assert.AreEqual(0.0455, values.Count(value => Math.Abs(value - 10) > 1) / 1e5, 0.003);
    }

    [TestMethod]
    public void ConstantsAndCopies_AreEvaluated()
    {
        NodeProto shape = new() { OpType = "Constant", Output = { "shape" } };
        shape.Attribute.Add(new AttributeProto { Name = "value_ints", Ints = { 2, 2 } });
        NodeProto filled = new() { OpType = "ConstantOfShape", Input = { "shape" }, Output = { "filled" } };
        filled.Attribute.Add(new AttributeProto { Name = "value", T = TensorSerializer.Write("", TensorData.From<float>([1.5f], 1)) });
        NodeProto copy = new() { OpType = "Identity", Input = { "filled" }, Output = { "a/initial" } };
        ModelProto model = Drawn(shape, filled, copy);
        model.Graph.Initializer.Add(OnnxModels.External("a", OnnxModels.Ramp(2, 2), ("location", "none")));
        model.TrainingInfo[0].InitializationBinding.Add(new StringStringEntryProto { Key = "a", Value = "a/initial" });
        Assert.AreEqual("1.5 1.5 1.5 1.5", string.Join(' ', Draw(model, 0)["a"].ToArray<float>()));
    }

    [TestMethod]
    public void UnsupportedOperators_AreAllListed()
    {
        ModelProto model = Drawn(Random("RandomNormal", "a", 8), new NodeProto { OpType = "Multinomial", Name = "m", Output = { "x" } },
            new NodeProto { OpType = "Identity", Domain = "mine", Name = "i", Output = { "y" } });
        OnnxModels.Contains(DrawError(model), "<bytes>", "'m'", "Multinomial", "'i'", "RandomUniform");
    }

    [TestMethod]
    public void BindingsThatDoNotFit_AreAllListed()
    {
        ModelProto model = Drawn(Random("RandomNormal", "a", 8), Random("RandomNormal", "b", 8));
        model.Graph.Initializer[0].Dims[0] = 9;
        model.TrainingInfo[0].InitializationBinding[1].Value = "nothing";
        model.TrainingInfo[0].InitializationBinding.Add(new StringStringEntryProto { Key = "nobody", Value = "a/initial" });
        OnnxModels.Contains(DrawError(model), "'a'", "Float[9]", "Float[8]", "'b'", "'nothing'", "'nobody'");
    }

    [TestMethod]
    public void BrokenNodes_AreNamed()
    {
        NodeProto noShape = Random("RandomNormal", "a", 8);
        noShape.Attribute.Clear();
        OnnxModels.Contains(DrawError(Drawn(noShape)), "RandomNormal", "'a/initial'", "shape");
        NodeProto negative = Random("RandomNormal", "a", -8);
        OnnxModels.Contains(DrawError(Drawn(negative)), "'a/initial'", "-8");
        OnnxModels.Contains(DrawError(Drawn(Random("RandomNormal", "a", 8),
            new NodeProto { OpType = "Identity", Input = { "later" }, Output = { "x" } })), "'x'", "'later'");
        OnnxModels.Contains(DrawError(Drawn(Random("RandomNormal", "a", 8), new NodeProto { OpType = "Identity", Name = "i" })), "'i'",
            "one output");
    }

    [TestMethod]
    public void IsNeeded_OnlyWhileTheFileIsMissing()
    {
        using TemporaryFolder folder = new();
        ModelProto model = Drawn(Random("RandomNormal", "a", 8));
        File.WriteAllBytes(folder["m.onnx"], model.ToByteArray());
        using (ModelFile without = ModelFile.Load(folder["m.onnx"]))
            Assert.IsTrue(WeightInitialization.IsNeeded(without));
        File.WriteAllBytes(folder["none"], new byte[32]);
        using ModelFile with = ModelFile.Load(folder["m.onnx"]);
        Assert.IsFalse(WeightInitialization.IsNeeded(with));
        Assert.IsFalse(WeightInitialization.IsNeeded(ModelFile.Load(OnnxModels.Linear().ToByteArray())));
    }

    [TestMethod]
    public void MissingWeightsWithoutARule_AreRefusedAtLoad()
    {
        ModelProto model = Drawn(Random("RandomNormal", "a", 8), Random("RandomNormal", "b", 8));
        model.TrainingInfo[0].InitializationBinding.RemoveAt(1);
        string message = OnnxModels.LoadError(model);
        OnnxModels.Contains(message, "'b'", "'none'", "training_info.initialization");
        Assert.DoesNotContain("'a'", message);
    }

    /// <summary>A model whose initializers are in a file "none"; each random node with output "x/initial" draws "x".</summary>
    private static ModelProto Drawn(params NodeProto[] nodes)
    {
        ModelProto model = OnnxModels.Empty();
        TrainingInfoProto info = new() { Initialization = new GraphProto { Node = { nodes } } };
        foreach (NodeProto node in nodes.Where(node => node.Output.Count == 1
            && node.OpType.StartsWith("Random", StringComparison.Ordinal)))
        {
            string name = node.Output[0].Split('/')[0];
            model.Graph.Initializer.Add(OnnxModels.External(name, OnnxModels.Ramp(8), ("location", "none")));
            model.Graph.Initializer[^1].Dims[0] = node.Attribute.FirstOrDefault(attribute => attribute.Name == "shape")?.Ints[0] ?? 8;
            info.InitializationBinding.Add(new StringStringEntryProto { Key = name, Value = node.Output[0] });
        }
        model.TrainingInfo.Add(info);
        return model;
    }

    private static NodeProto Random(string op, string name, long size, params (string Name, float Value)[] numbers)
    {
        NodeProto node = new() { OpType = op, Output = { $"{name}/initial" } };
        node.Attribute.Add(new AttributeProto { Name = "shape", Ints = { size } });
        node.Attribute.Add(numbers.Select(number => new AttributeProto { Name = number.Name, F = number.Value }));
        return node;
    }

    private static IReadOnlyDictionary<string, TensorData> Draw(ModelProto model, long seed) =>
        WeightInitialization.Draw(ModelFile.Load(model.ToByteArray()), seed);

    private static string DrawError(ModelProto model) => Assert.ThrowsExactly<ModelFormatException>(() => Draw(model, 0)).Message;
}
