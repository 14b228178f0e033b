using OrtCpr.Checkpoints;
using OrtCpr.Graph;
using OrtCpr.Graph.Heads;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Tests.Heads;

[TestClass]
public sealed class ModelHeadTests
{
    private static Batch Inputs(string model)
    {
        using var file = SafetensorsFile.Read(TestModels.Case($"models/{model}.safetensors"));
        var batch = new Batch();
        foreach ((string key, TensorData tensor) in file.Tensors.Where(t => t.Key.StartsWith("input/", StringComparison.Ordinal)))
            batch.Add(key["input/".Length..], TensorData.Create(tensor.Type, tensor.Dimensions, tensor.Bytes.ToArray()));
        return batch;
    }

    private static double[] Mean(TensorData tokens) => Pooled(tokens, (_, _) => true, values => values.Average());

    // [batch, tokens, width] → [batch, width]; 0 where nothing counts.
    private static double[] Pooled(TensorData tokens, Func<int, int, bool> counts, Func<IEnumerable<double>, double> pool)
    {
        (int batch, int length, int width) = ((int)tokens.Dimensions[0], (int)tokens.Dimensions[1], (int)tokens.Dimensions[2]);
        double[] x = tokens.ToDoubles();
        return [.. Enumerable.Range(0, batch).SelectMany(b => Enumerable.Range(0, width).Select(w =>
        {
            double[] values = [.. Enumerable.Range(0, length).Where(t => counts(b, t)).Select(t => x[(((b * length) + t) * width) + w])];
            return values.Length == 0 ? 0 : pool(values);
        }))];
    }

    private static void IsLinear(byte[] model, Batch batch, Func<TensorData, double[]> pool, double tolerance = 1e-5)
    {
        string features = HeadModels.Features(model);
        TensorData[] found = HeadModels.Run(HeadModels.Showing(model, features), batch, features, "logits");
        double[] weight = HeadModels.Initializer(model, "head.weight"), bias = HeadModels.Initializer(model, "head.bias");
        HeadModels.AreClose(HeadModels.Linear(pool(found[0]), weight, bias), found[1].ToDoubles(), tolerance);
        Assert.AreEqual(bias.Length, found[1].Dimensions[^1]);
    }

    [TestMethod]
    [DataRow("lenet", "fc3.weight", 42)]
    [DataRow("mlp_dynamo", "layers.2.weight", 24)]
    [DataRow("mlp_legacy", "layers.2.weight", 24)]
    [DataRow("vit", "model.classifier.weight", 32)]
    [DataRow("gpt2_dynamo", null, 32)]
    [DataRow("gpt2_legacy", null, 32)]
    public void ExportedModels_GetALinearLayer_OnWhatTheirOwnRead(string name, string? gone, int width)
    {
        byte[] body = File.ReadAllBytes(TestModels.Case($"models/{name}.onnx"));
        byte[] model = ModelHead.Replace(body, null, new DenseHead { Classes = 5 });
        IsLinear(model, Inputs(name), f => f.Dimensions.Count == 3 ? Mean(f) : f.ToDoubles());
        CollectionAssert.AreEqual(new[] { "logits" }, HeadModels.Outputs(model));
        string[] before = HeadModels.Initializers(body), after = HeadModels.Initializers(model);
        if (gone is not null) CollectionAssert.DoesNotContain(after, gone);
        CollectionAssert.IsSubsetOf(after.Except(["head.weight", "head.bias"]).ToArray(), before);
        Assert.HasCount(5 * width, HeadModels.Initializer(model, "head.weight"));
        // What is left of the file is left as it was, byte by byte.
        ModelProto old = ModelFile.Load(body).Proto, changed = ModelFile.Load(model).Proto;
        foreach (TensorProto kept in changed.Graph.Initializer.SkipLast(2)) Assert.Contains(kept, old.Graph.Initializer);
        foreach (NodeProto kept in changed.Graph.Node.Where(n => !n.Name.StartsWith("head/", StringComparison.Ordinal)))
            Assert.Contains(kept, old.Graph.Node);
    }

    [TestMethod]
    public void HalfPrecision_HasAHeadOfHalfPrecision()
    {
        byte[] body = File.ReadAllBytes(TestModels.Case("models/lenet_float16.onnx"));
        byte[] model = ModelHead.Replace(body, null, new DenseHead { Classes = 3 });
        ModelProto proto = ModelFile.Load(model).Proto;
        Assert.AreEqual((int)ElementType.Float16, proto.Graph.Initializer.Single(i => i.Name == "head.weight").DataType);
    }

    [TestMethod]
    public void FirstValues_AreThoseOfALinearLayer_ByTheSeed()
    {
        byte[] Head(long seed) => ModelHead.Replace(TestModels.Linear(inputs: 100), null, new DenseHead { Classes = 50, Seed = seed });
        double[] weight = HeadModels.Initializer(Head(3), "head.weight"), bias = HeadModels.Initializer(Head(3), "head.bias");
        Assert.IsLessThanOrEqualTo(0.1 + 1e-7, weight.Concat(bias).Max(Math.Abs));
        Assert.IsGreaterThan(0.099, weight.Max());
        Assert.IsLessThan(-0.099, weight.Min());
        // The variance of a uniform number in ±r is r²/3; the mean of 5,000 has a deviation of 8e-4.
        Assert.AreEqual(0, weight.Average(), 4e-3);
        Assert.AreEqual(0.01 / 3, weight.Average(w => w * w), 2e-4);
        CollectionAssert.AreEqual(weight, HeadModels.Initializer(Head(3), "head.weight"));
        CollectionAssert.AreNotEqual(weight, HeadModels.Initializer(Head(4), "head.weight"));
    }

    [TestMethod]
    [DataRow("Softmax")]
    [DataRow("LogSoftmax")]
    [DataRow("Sigmoid")]
    [DataRow("Identity")]
    [DataRow("Reshape")]
    [DataRow("Squeeze")]
    [DataRow("Cast")]
    public void WhatStandsBehindTheLayer_GoesWithIt(string end)
    {
        byte[] body = HeadModels.Of((g, graph, x) =>
        {
            Value y = g.Op("MatMul", [g.Op("Tanh", [x]), TestModels.Weight(graph, "w", 4, 1)]);
            y = g.Op("Add", [y, TestModels.Weight(graph, "b", 1)]);
            return end switch
            {
                "Reshape" => g.Op("Reshape", [y, graph.AddInitializer("shape", TensorData.From<long>([-1], 1))]),
                "Squeeze" => g.Op("Squeeze", [y, graph.AddInitializer("axes", TensorData.From<long>([1], 1))]),
                "Cast" => g.Op("Cast", [y], ("to", (long)ElementType.Double)),
                _ => g.Op(end, [y]),
            };
        }, dims: [4]);
        byte[] model = ModelHead.Replace(body, "logits", new DenseHead { Classes = 3 });
        CollectionAssert.AreEqual(new[] { "Tanh", "Gemm" }, HeadModels.Operators(model));
        CollectionAssert.AreEqual(new[] { "head.weight", "head.bias" }, HeadModels.Initializers(model));
        IsLinear(model, TestModels.Batch(5), f => f.ToDoubles());
    }

    // As exporters write encoders: the operators know the width, the output has a name for it.
    [TestMethod]
    public void AWidthThatTheOutputOnlyNames_IsKnownFromTheOperators()
    {
        ModelProto proto = ModelFile.Load(HeadModels.Encoder()).Proto;
        proto.Graph.Output[0].Type = new TypeProto
        {
            TensorType = new TypeProto.Types.Tensor { ElemType = (int)ElementType.Float, Shape = new TensorShapeProto() },
        };
        foreach (string name in new[] { "batch", "tokens", "Tanhlast_hidden_state_dim_2" })
            proto.Graph.Output[0].Type.TensorType.Shape.Dim.Add(new TensorShapeProto.Types.Dimension { DimParam = name });
        byte[] model = ModelHead.Replace(ModelFile.ToBytes(proto), null, new DenseHead { Classes = 4 });
        Assert.HasCount(4 * 6, HeadModels.Initializer(model, "head.weight"));
    }

    // A shape that depends on values: the vector that is added at the end has the width.
    [TestMethod]
    public void AWidthThatWasLostOnTheWay_IsThatOfTheLastVector()
    {
        byte[] body = HeadModels.Of((g, graph, x) => g.Op("Add", [g.Op("Reshape", [x, g.Op("Cast", [g.Op("ReduceMax", [x, g.Ints(0)],
            ("keepdims", 0L))], ("to", 7L))]), TestModels.Weight(graph, "b", 6)]), dims: [3]);
        Assert.HasCount(2 * 6, HeadModels.Initializer(ModelHead.Replace(body, null, new DenseHead { Classes = 2 }), "head.weight"));
    }

    [TestMethod]
    public void AConvolutionThatCoversItsInput_IsALinearLayer()
    {
        byte[] body = HeadModels.Of((g, graph, x) => g.Op("Flatten", [g.Op("Conv", [x, TestModels.Weight(graph, "w", 7, 2, 3, 3)])]),
            dims: [2, 3, 3]);
        byte[] model = ModelHead.Replace(body, null, new DenseHead { Classes = 4 });
        CollectionAssert.AreEqual(new[] { "Flatten", "Gemm" }, HeadModels.Operators(model));
        IsLinear(model, Pictures(2, 3, 3), f => f.ToDoubles());
    }

    [TestMethod]
    [DataRow("GlobalAveragePool")]
    [DataRow("ReduceMean")]
    public void AConvolutionInFrontOfAMean_IsReplacedBehindOne(string mean)
    {
        byte[] body = HeadModels.Of((g, graph, x) =>
        {
            Value y = g.Op("Conv", [g.Op("Relu", [x]), TestModels.Weight(graph, "w", 7, 2, 1, 1)]);
            y = mean == "ReduceMean" ? g.Op(mean, [y, graph.AddInitializer("axes", TensorData.From<long>([2, 3], 2))]) : g.Op(mean, [y]);
            return g.Op("Softmax", [g.Op("Flatten", [y])]);
        }, dims: [2, 3, 3]);
        byte[] model = ModelHead.Replace(body, null, new DenseHead { Classes = 4 });
        IsLinear(model, Pictures(2, 3, 3), f => PooledPixels(f, v => v.Average()));
    }

    private static Batch Pictures(params long[] dims)
    {
        var random = new Random(3);
        long size = dims.Aggregate(5L, (p, d) => p * d);
        return new Batch().Add("x", [.. Enumerable.Range(0, (int)size).Select(_ => (float)(random.NextDouble() - 0.5))], [5, .. dims]);
    }

    private static double[] PooledPixels(TensorData x, Func<IEnumerable<double>, double> pool) =>
        [.. x.ToDoubles().Chunk((int)(x.Dimensions[2] * x.Dimensions[3])).Select(pool)];

    [TestMethod]
    [DataRow(Pooling.Auto, false)]
    [DataRow(Pooling.Max, false)]
    [DataRow(Pooling.Mean, true)]
    public void FeaturesOfPictures_ArePooledOverHeightAndWidth(Pooling pool, bool channelsLast)
    {
        byte[] body = HeadModels.Of((g, graph, x) =>
        {
            Value y = g.Op("Relu", [g.Op("Conv", [x, TestModels.Weight(graph, "w", 4, 2, 3, 3)])]);
            return channelsLast ? g.Op("Transpose", [y], ("perm", new long[] { 0, 2, 3, 1 })) : y;
        }, output: "features", dims: [2, 5, 6]);
        byte[] model = ModelHead.Replace(body, null, new DenseHead { Classes = 3, Pool = pool, ChannelsLast = channelsLast });
        IsLinear(model, Pictures(2, 5, 6), f =>
        {
            if (!channelsLast) return PooledPixels(f, v => pool == Pooling.Max ? v.Max() : v.Average());
            double[] x = f.ToDoubles();
            return [.. Enumerable.Range(0, 5 * 4).Select(i => Enumerable.Range(0, 12).Average(p => x[(((i / 4 * 12) + p) * 4) + (i % 4)]))];
        });
    }

    [TestMethod]
    [DataRow(Pooling.Auto, 18)]
    [DataRow(Pooling.Mean, 13)]
    [DataRow(Pooling.Mean, 11)]
    [DataRow(Pooling.Cls, 18)]
    [DataRow(Pooling.Max, 18)]
    [DataRow(Pooling.Max, 13)]
    [DataRow(Pooling.Max, 11)]
    public void Tokens_ArePooledUnderTheMask(Pooling pool, int opset)
    {
        byte[] model = ModelHead.Replace(HeadModels.Encoder(opset), null, new DenseHead { Classes = 3, Pool = pool });
        CollectionAssert.AreEqual(new[] { "logits" }, HeadModels.Outputs(model));
        using Batch batch = HeadModels.Sentences();
        long[] lengths = [2, 4, 0];
        IsLinear(model, batch, f => pool == Pooling.Cls ? Pooled(f, (_, t) => t == 0, v => v.Single())
            : Pooled(f, (b, t) => t < lengths[b], v => pool == Pooling.Max ? v.Max() : v.Average()));
    }

    [TestMethod]
    public void WithoutAMask_AllTokensCount()
    {
        byte[] body = HeadModels.Encoder(mask: "token_type_ids");
        byte[] model = ModelHead.Replace(body, null, new DenseHead { Classes = 3, Pool = Pooling.Max });
        using Batch batch = HeadModels.Sentences().Add("token_type_ids", new long[12], 3, 4);
        IsLinear(model, batch, f => Pooled(f, (_, _) => true, v => v.Max()));
        // Named, any integers are a mask: here one of zeros.
        model = ModelHead.Replace(body, null, new DenseHead { Classes = 3, Mask = "token_type_ids" });
        IsLinear(model, batch, f => Pooled(f, (_, _) => false, v => v.Max()));
    }

    [TestMethod]
    public void PoolNone_GivesClassesOfEveryToken()
    {
        byte[] model = ModelHead.Replace(HeadModels.Encoder(), null, new DenseHead { Classes = 3, Pool = Pooling.None });
        using Batch batch = HeadModels.Sentences();
        string features = HeadModels.Features(model);
        TensorData[] found = HeadModels.Run(HeadModels.Showing(model, features), batch, features, "logits");
        CollectionAssert.AreEqual(new long[] { 3, 4, 3 }, found[1].Dimensions.ToArray());
        double[] weight = HeadModels.Initializer(model, "head.weight");
        double[] transposed = [.. Enumerable.Range(0, 18).Select(i => weight[(i % 6 * 3) + (i / 6)])];
        HeadModels.AreClose(HeadModels.Linear(found[0].ToDoubles(), transposed, HeadModels.Initializer(model, "head.bias")),
            found[1].ToDoubles());
    }

    [TestMethod]
    public void ALayerBetweenTwoReshapes_ReadsTokens()
    {
        byte[] body = HeadModels.Of((g, graph, x) =>
        {
            Value flat = g.Op("Reshape", [g.Op("Tanh", [x]), graph.AddInitializer("rows", TensorData.From<long>([-1, 6], 2))]);
            Value y = g.Op("Gemm", [flat, TestModels.Weight(graph, "w", 6, 9)]);
            return g.Op("Reshape", [y, graph.AddInitializer("back", TensorData.From<long>([-1, 4, 9], 3))]);
        }, dims: [4, 6]);
        byte[] model = ModelHead.Replace(body, null, new DenseHead { Classes = 2 });
        IsLinear(model, Pictures(4, 6), Mean);
    }

    [TestMethod]
    public void ANode_ATensor_AndTheOutputItself_CanBeNamed()
    {
        byte[] body = HeadModels.Of((g, graph, x) =>
        {
            Value h = g.Named(g.Op("Relu", [g.Op("MatMul", [x, TestModels.Weight(graph, "first", 4, 8)])]), "hidden");
            return g.Op("MatMul", [h, TestModels.Weight(graph, "second", 8, 3)]);
        }, dims: [4]);
        ModelProto proto = ModelFile.Load(body).Proto;
        proto.Graph.Node[0].Name = "first layer";
        body = ModelFile.ToBytes(proto);
        byte[] byNode = ModelHead.Replace(body, "first layer", new DenseHead { Classes = 2 });
        CollectionAssert.AreEqual(new[] { "Gemm" }, HeadModels.Operators(byNode));
        CollectionAssert.AreEqual(new[] { "logits" }, HeadModels.Outputs(byNode));
        IsLinear(byNode, TestModels.Batch(5), f => f.ToDoubles());
        byte[] byTensor = ModelHead.Replace(body, "hidden", new DenseHead { Classes = 2 });
        CollectionAssert.AreEqual(new[] { "MatMul", "Relu", "Gemm" }, HeadModels.Operators(byTensor));
        byte[] appended = ModelHead.Replace(body, null, new DenseHead { Classes = 2, Append = true, Output = "classes" });
        CollectionAssert.AreEqual(new[] { "MatMul", "Relu", "MatMul", "Gemm" }, HeadModels.Operators(appended));
        CollectionAssert.AreEqual(new[] { "classes" }, HeadModels.Outputs(appended));
        Assert.HasCount(2 * 3, HeadModels.Initializer(appended, "head.weight"));
    }

    [TestMethod]
    public void Keep_AddsHeadsBesideThatOfTheModel()
    {
        byte[] body = TestModels.Linear();
        byte[] two = ModelHead.Replace(body, null, new DenseHead { Classes = 2, Keep = true, ClassNames = ["a", "ü"] });
        two = ModelHead.Replace(two, "logits",
            new DenseHead { Classes = 4, Keep = true, Output = "kinds", ClassNames = ["k", "l", "m", "n"] });
        CollectionAssert.AreEqual(new[] { "logits", "logits_1", "kinds" }, HeadModels.Outputs(two));
        using Batch batch = TestModels.Batch(5);
        CollectionAssert.AreEqual(HeadModels.Run(body, batch, "logits")[0].ToDoubles(),
            HeadModels.Run(two, batch, "logits")[0].ToDoubles());
        HeadModels.AreClose(HeadModels.Linear(HeadModels.Run(HeadModels.Showing(two, "x"), batch, "x")[0].ToDoubles(),
            HeadModels.Initializer(two, "head_1.weight"), HeadModels.Initializer(two, "head_1.bias")),
            HeadModels.Run(two, batch, "kinds")[0].ToDoubles());
        CollectionAssert.AreEqual(new[] { "head.weight", "head.bias", "head_1.weight", "head_1.bias" },
            ModelHead.Parameters(two).Select(p => p.Text).ToArray());
        Assert.AreEqual("[\"a\",\"ü\"]", HeadModels.Metadata(two)[ModelHead.ClassNamesKey]);
        Assert.AreEqual("[\"k\",\"l\",\"m\",\"n\"]", HeadModels.Metadata(two)[$"{ModelHead.ClassNamesKey}.kinds"]);
        // Of heads that go, nothing is left; what they read, x, is read by the new one.
        byte[] one = ModelHead.Replace(two, "x", new DenseHead { Classes = 3 });
        CollectionAssert.AreEqual(new[] { "head.weight", "head.bias" }, HeadModels.Initializers(one));
        Assert.IsFalse(HeadModels.Metadata(one).ContainsKey(ModelHead.ClassNamesKey));
    }

    [TestMethod]
    public void ExternalData_StayBesideTheModel_AndGoWithItElsewhere()
    {
        using var folder = new TemporaryFolder();
        byte[] body = HeadModels.Of((g, graph, x) => g.Op("MatMul", [g.Op("Tanh", [g.Op("MatMul",
            [x, TestModels.Weight(graph, "body", 4, 300)])]), TestModels.Weight(graph, "old", 300, 3)]), dims: [4]);
        ModelFile.Save(ModelFile.Load(body).Proto, folder["body.onnx"], externalDataThreshold: 0);
        byte[] data = File.ReadAllBytes(folder["body.onnx.data"]);
        ModelHead.Replace(folder["body.onnx"], folder["head.onnx"], null, new DenseHead { Classes = 2 });
        CollectionAssert.AreEqual(data, File.ReadAllBytes(folder["body.onnx.data"]));
        Assert.IsFalse(File.Exists(folder["head.onnx.data"]));
        Directory.CreateDirectory(folder["apart"]);
        ModelHead.Replace(folder["body.onnx"], folder["apart/head.onnx"], null, new DenseHead { Classes = 2 });
        byte[] whole = File.ReadAllBytes(folder["apart/head.onnx"]);
        CollectionAssert.AreEqual(HeadModels.Initializer(body, "body"), HeadModels.Initializer(whole, "body"));
        IsLinear(whole, TestModels.Batch(5), f => f.ToDoubles());
        using ModelFile beside = ModelFile.Load(folder["head.onnx"]);
        Assert.AreEqual(TensorProto.Types.DataLocation.External, beside.Proto.Graph.Initializer.Single(i => i.Name == "body").DataLocation);
        Assert.ThrowsExactly<ModelFormatException>(() =>
            ModelHead.Replace(File.ReadAllBytes(folder["body.onnx"]), null, new DenseHead { Classes = 2 }));
    }

    // Weights that the file only describes: the rules of those that went go too.
    [TestMethod]
    public void RulesForWeights_AreThoseOfTheBody()
    {
        using var folder = new TemporaryFolder();
        ModelHead.Replace(TestModels.Grokking, folder["head.onnx"], null, new DenseHead { Classes = 3 });
        TrainingPlan plan = TrainingGraphBuilder.Build(folder["head.onnx"]);
        CollectionAssert.IsSubsetOf(new[] { "head.weight", "head.bias" }, plan.Parameters.Trained.Select(p => p.Name).ToArray());
    }
}
