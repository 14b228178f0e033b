using OrtCpr.Graph;
using OrtCpr.Graph.Heads;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;

namespace OrtCpr.Tests.Heads;

// What cannot have a head, and what the message says of it.
[TestClass]
public sealed class HeadFaultTests
{
    private static readonly DenseHead Head = new() { Classes = 3 };

    private static void Refuses(byte[] model, string? at, DenseHead head, params string[] parts)
    {
        string message = Assert.ThrowsExactly<OptionException>(() => ModelHead.Replace(model, at, head)).Message;
        foreach (string part in parts) StringAssert.Contains(message, part);
    }

    private static byte[] Features(params Dim[] dims) => HeadModels.Of((g, _, x) => g.Op("Tanh", [x]), output: "features", dims: dims);

    [TestMethod]
    public void OptionsOutOfRange_AndANameThatIsNotThere_AreToldAtOnce() =>
        Refuses(TestModels.Linear(), "logit", new DenseHead
        {
            Classes = 1,
            Dropout = 1,
            Pool = (Pooling)9,
            Name = " ",
            Output = "",
            ClassNames = ["a", "a"],
        }, "Classes is 1; expected at least 2", "Dropout is 1; expected at least 0 and less than 1",
            "Pool is 9; expected one of Auto, None, ", "Name is empty", "Output is empty", "ClassNames has 2 names; expected 1",
            "ClassNames has 'a' more than once",
            "'logit' is no output, node or tensor of the model. Names like it: 'logits'.", "Its outputs: 'logits'",
            "its last linear layers: 'Gemm'");

    [TestMethod]
    public void ADefaultArrayOfNames_IsNoList() =>
        Refuses(TestModels.Linear(), null, Head with { ClassNames = default }, "ClassNames is a default array");

    [TestMethod]
    public void NoLinearLayer_ListsTheLastNodes() =>
        Refuses(HeadModels.Of((g, graph, x) => g.Op("Relu", [g.Op("Gemm", [x, TestModels.Weight(graph, "w", 4, 3)])]), dims: [4]), null,
            Head, "no linear layer (Gemm, MatMul, or a convolution that covers its input) ends at output 'logits' [batch,3]",
            "last nodes are Relu", ", Gemm");

    // A product of two values of the model, and sums of values, are no layers.
    [TestMethod]
    public void ProductsOfValues_AreNoLayers()
    {
        Refuses(HeadModels.Of((g, _, x) => g.Op("MatMul", [x, g.Op("Transpose", [x])]), dims: [4]), null, Head, "no linear layer");
        Refuses(HeadModels.Of((g, graph, x) => g.Op("Add", [x, g.Op("MatMul", [x, TestModels.Weight(graph, "w", 4, 4)])]), dims: [4]), null,
            Head, "no linear layer", "Add");
        Refuses(HeadModels.Of((g, graph, x) => g.Op("Flatten", [g.Op("Conv", [x, TestModels.Weight(graph, "w", 3, 2, 3, 3)])]),
            dims: [2, 5, 5]), null, Head, "no linear layer", "Flatten", "Conv");
        // A mean over the classes of a layer is no mean of pixels.
        Refuses(HeadModels.Of((g, graph, x) => g.Op("ReduceMean", [g.Op("MatMul", [x, TestModels.Weight(graph, "w", 4, 3)]),
            graph.AddInitializer("axes", TensorData.From<long>([1], 1))]), dims: [4]), null, Head, "no linear layer", "ReduceMean");
    }

    [TestMethod]
    public void AModelForSegmentation_IsAskedHowPixelsArePooled()
    {
        byte[] unet = File.ReadAllBytes(TestModels.Case("models/unet.onnx"));
        Refuses(unet, null, Head, "in front of 'logits' is a convolution with a result for each pixel", "Pool: Mean, Max");
        byte[] model = ModelHead.Replace(unet, null, Head with { Pool = Pooling.Mean });
        CollectionAssert.AreEqual(new[] { "logits" }, HeadModels.Outputs(model));
    }

    [TestMethod]
    public void FeaturesOfOtherTypesAndRanks_AreRefused()
    {
        Refuses(HeadModels.Of((g, _, x) => g.Op("Cast", [x], ("to", (long)ElementType.Int64)), dims: [4]), null, Head,
            "the model has no floating output; its outputs are 'logits'");
        Refuses(HeadModels.Encoder(), "input_ids", Head, "would read 'input_ids', which is Int64; expected floating numbers");
        Refuses(Features(2, 2, 2, 2), "features", Head, "would read 'features', of rank 5, [batch,2,2,2,2]; expected [batch, width]");
        Refuses(Features(), "features", Head, "of rank 1, [batch]");
        OnnxModel model = OnnxModel.Create("rank", 18);
        var g = new GraphBuilder(model.Graph);
        Value x = model.Graph.AddInput("x", ElementType.Float, new Shape(SymbolicInt.Symbol("batch"), 4));
        Value shape = model.Graph.AddInput("shape", ElementType.Int64, new Shape(SymbolicInt.Symbol("rank")));
        model.Graph.Outputs.Add(g.Named(g.Op("Reshape", [g.Op("Tanh", [x]), shape]), "features"));
        Refuses(GraphWriter.ToBytes(model), "features", Head, "would read 'features', of unknown rank");
        // What depends on no input has no layer in front of it either.
        Refuses(HeadModels.Of((b, graph, _) => b.Op("Identity", [TestModels.Weight(graph, "w", 4, 4)]), dims: [4]), null, Head,
            "no linear layer", "Identity");
    }

    [TestMethod]
    public void AnUnknownWidth_IsRefused()
    {
        Refuses(Features(SymbolicInt.Symbol("n")), "features", Head, "the width of 'features' [batch,n] (axis 1) is not known");
        Refuses(Features(3, SymbolicInt.Symbol("n")), "features", Head, "(axis 2) is not known");
        Refuses(Features(SymbolicInt.Symbol("c"), 4, 4), "features", Head, "(axis 1) is not known");
        Refuses(Features(4, 4, SymbolicInt.Symbol("c")), "features", Head with { ChannelsLast = true }, "(axis 3) is not known");
    }

    [TestMethod]
    public void BatchAndTokensOnOneAxis_AreNoFeatures() =>
        Refuses(HeadModels.Of((g, graph, x) => g.Op("Reshape", [g.Op("Gemm", [g.Op("Tanh", [x]), TestModels.Weight(graph, "w", 6, 8)]),
            graph.AddInitializer("back", TensorData.From<long>([-1, 4, 8], 3))]), dims: [6]), null, Head,
            "output 'logits' is", "batch and tokens are one axis");

    [TestMethod]
    public void PoolingThatDoesNotFitTheRank_IsRefused()
    {
        Refuses(Features(4), "features", Head with { Pool = Pooling.Mean }, "Pool is Mean", "has nothing to pool");
        Refuses(Features(4, 3, 3), null, Head with { Pool = Pooling.None }, "Pool is None", "expected Mean or Max for features of rank 4");
        Refuses(Features(4, 3, 3), null, Head with { Pool = Pooling.Cls }, "Pool is Cls", "which has no tokens");
    }

    [TestMethod]
    public void MasksThatAreNone_AreRefused()
    {
        Refuses(HeadModels.Encoder(), null, Head with { Mask = "mask" }, "Mask is 'mask', which is no input",
            "There are: 'input_ids' [batch,tokens], 'attention_mask' [batch,tokens]");
        Refuses(HeadModels.Encoder(), null, Head with { Mask = "attention_mask", Pool = Pooling.Cls }, "have no use for it; expected null");
        Refuses(Features(5, 4), null, Head with { Mask = "x" }, "Mask is 'x', which is Float [batch,5,4]", "There are: none");

        OnnxModel model = OnnxModel.Create("masks", 18);
        var g = new GraphBuilder(model.Graph);
        Value x = model.Graph.AddInput("x", ElementType.Float, new Shape(SymbolicInt.Symbol("batch"), 5, 4));
        foreach (string name in new[] { "left_mask", "right_mask" })
            model.Graph.AddInput(name, ElementType.Bool, new Shape(SymbolicInt.Symbol("batch"), 5));
        model.Graph.AddInput("long_mask", ElementType.Bool, new Shape(SymbolicInt.Symbol("batch"), 7));
        model.Graph.Outputs.Add(g.Named(g.Op("Tanh", [x]), "features"));
        byte[] bytes = GraphWriter.ToBytes(model);
        Refuses(bytes, null, Head, "several inputs may be the mask of 'features' [batch,5,4]: 'left_mask', 'right_mask'. Name one");
        Refuses(bytes, null, Head with { Mask = "long_mask" }, "Mask is 'long_mask', which is Bool [batch,7]");
    }

    [TestMethod]
    public void OpsetsBeforeTheNodes_AreRefused()
    {
        byte[] Tanh(int opset) => HeadModels.Of((g, _, x) => g.Op("Tanh", [x]), opset, "features", [4]);
        Refuses(Tanh(11), "features", Head with { Dropout = 0.5 }, "the model has opset 11, and the head's Dropout takes 12 or later",
            "leave Dropout out");
        Refuses(Tanh(6), "features", Head, "the model has opset 6, and the head takes 7 or later");
        Refuses(HeadModels.Encoder(8), null, Head, "the model has opset 8, and the head takes 9 or later");
    }

    [TestMethod]
    public void AnOutputNameThatIsTaken_IsRefused()
    {
        Refuses(TestModels.Linear(), null, Head with { Output = "x" }, "Output is 'x', a name that the model has already");
        Refuses(TestModels.Linear(), null, Head with { Output = "logits", Keep = true }, "Output is 'logits', a name");
    }

    [TestMethod]
    public void ParametersOfAModelWithoutAHead_AreNone()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder["m.onnx"], TestModels.Linear());
        StringAssert.Contains(Assert.ThrowsExactly<ModelFormatException>(() => ModelHead.Parameters(folder["m.onnx"])).Message,
            "has no head of its own: expected the names of its parameters under 'ortcpr.heads' in metadata_props; found none");
        Assert.ThrowsExactly<ModelFormatException>(() => ModelHead.Parameters(TestModels.Linear()));
        Assert.ThrowsExactly<FileAccessException>(() => ModelHead.Replace(folder["no.onnx"], folder["x.onnx"], null, Head));
        Assert.ThrowsExactly<ModelFormatException>(() => ModelHead.Replace(new byte[] { 1, 2, 3 }, null, Head));
    }
}
