using Google.Protobuf;
using OrtCpr.Graph;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Tests.Onnx;

[TestClass]
public sealed class LargeTensorsTests
{
    private const int SmallestTensor = 64;

    [TestMethod]
    public void TensorsOfEveryPlace_AreThoseOfTheFile()
    {
        ModelProto model = Nested();
        using TemporaryFolder folder = new();
        File.WriteAllBytes(folder["m.onnx"], model.ToByteArray());
        ModelProto read = Parse(folder["m.onnx"]);
        Assert.AreEqual(model, read);
        CollectionAssert.AreEqual(model.ToByteArray(), read.ToByteArray());
        // Nothing of them is in memory: they are refused once the file is written into.
        ModelProto unread = Parse(folder["m.onnx"]);
        File.AppendAllText(folder["m.onnx"], "x");
        TensorProto[] large = [.. ModelTensors.All(unread).Select(s => s.Tensor).Where(t => t.RawData.Length >= SmallestTensor)];
        Assert.HasCount(5, large);
        foreach (TensorProto tensor in large) Assert.ThrowsExactly<FileAccessException>(() => tensor.RawData.ToByteArray());
    }

    [TestMethod]
    public void NumbersOfATypedField_BecomeRaw_WhereTheyAreInOnePiece()
    {
        float[] floats = [.. Enumerable.Range(0, 20).Select(i => i * 0.5f)];
        double[] doubles = [.. Enumerable.Range(0, 20).Select(i => i * 0.25)];
        TensorProto single = new() { Name = "f", DataType = (int)ElementType.Float, Dims = { 20 }, FloatData = { floats } };
        TensorProto wide = new() { Name = "d", DataType = (int)ElementType.Double, Dims = { 20 }, DoubleData = { doubles } };
        TensorProto complex = new() { Name = "c", DataType = (int)ElementType.Complex64, Dims = { 10 }, FloatData = { floats } };
        ModelProto model = OnnxModels.With(single, wide, complex);
        using TemporaryFolder folder = new();
        File.WriteAllBytes(folder["m.onnx"], model.ToByteArray());
        ModelProto read = Parse(folder["m.onnx"]);
        for (int i = 0; i < 3; i++)
        {
            Assert.IsNull(TensorSerializer.Read(model.Graph.Initializer[i], null, out TensorData? expected));
            Assert.IsNull(TensorSerializer.Read(read.Graph.Initializer[i], null, out TensorData? found));
            Assert.AreEqual(expected!.ToString(), found!.ToString());
            CollectionAssert.AreEqual(expected.Bytes.ToArray(), found.Bytes.ToArray());
            Assert.IsGreaterThan(0, read.Graph.Initializer[i].RawData.Length);
        }

        // A second piece, and a field that the type does not have: as the parser reads them.
        byte[] more = new TensorProto { FloatData = { 7 } }.ToByteArray();
        single.Dims[0]++;
        TensorProto strange = new() { Name = "i", DataType = (int)ElementType.Int32, Dims = { 20 }, FloatData = { floats } };
        byte[][] tensors = [[.. single.ToByteArray(), .. more], [.. more, .. single.ToByteArray()], strange.ToByteArray()];
        foreach (byte[] tensor in tensors)
        {
            byte[] graph = Field(GraphProto.InitializerFieldNumber, tensor);
            byte[] bytes = [.. OnnxModels.Empty().ToByteArray(), .. Field(ModelProto.GraphFieldNumber, graph)];
            File.WriteAllBytes(folder["m.onnx"], bytes);
            ModelProto whole = ModelProto.Parser.ParseFrom(bytes);
            Assert.IsGreaterThanOrEqualTo(20, whole.Graph.Initializer[0].FloatData.Count);
            Assert.AreEqual(whole, Parse(folder["m.onnx"]));
        }

        static byte[] Field(int number, byte[] message) =>
            [(byte)((number << 3) | 2), (byte)(0x80 | (message.Length & 0x7F)), (byte)(message.Length >> 7), .. message];
    }

    [TestMethod]
    public void MessagesNestedWithoutEnd_AreRefused_AsTheParserRefusesThem()
    {
        // A graph in an attribute of a node of a graph, and so on: a reader that follows it runs out of stack.
        int[] fields = [GraphProto.NodeFieldNumber, NodeProto.AttributeFieldNumber, AttributeProto.GFieldNumber];
        var levels = new List<byte[]>();
        int length = 0;
        for (int i = 0; i < 60_000; i++)
        {
            byte[] head = [(byte)((fields[2 - (i % 3)] << 3) | 2), .. Varint(length)];
            levels.Add(head);
            length += head.Length;
        }
        levels.Add([(ModelProto.GraphFieldNumber << 3) | 2, .. Varint(length)]);
        levels.Reverse();
        byte[] bytes = [.. levels.SelectMany(l => l)];
        Assert.ThrowsExactly<InvalidProtocolBufferException>(() => ModelProto.Parser.ParseFrom(bytes));
        using TemporaryFolder folder = new();
        File.WriteAllBytes(folder["m.onnx"], bytes);
        Assert.ThrowsExactly<InvalidProtocolBufferException>(() => Parse(folder["m.onnx"]));

        static byte[] Varint(int value)
        {
            var coded = new List<byte>();
            for (; value >= 0x80; value >>= 7) coded.Add((byte)(value | 0x80));
            return [.. coded, (byte)value];
        }
    }

    [TestMethod]
    public void MutatedFiles_AreReadAsTheParserReadsThem()
    {
        ModelProto model = Nested();
        using TemporaryFolder folder = new();
        int refused = Mutations.Survive(model.ToByteArray(), 1500, seed: 4, bytes =>
        {
            File.WriteAllBytes(folder["m.onnx"], bytes);
            string whole = Outcome(() => ModelProto.Parser.ParseFrom(bytes));
            Assert.AreEqual(whole, Outcome(() => Parse(folder["m.onnx"])));
        });
        Assert.AreEqual(0, refused);

        static string Outcome(Func<ModelProto> parse)
        {
            try
            {
                return Convert.ToHexString(parse().ToByteArray());
            }
            catch (InvalidProtocolBufferException error)
            {
                return error.Message;
            }
        }
    }

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void AJobThatIsExportedOverItsModel_GoesOnWithTheWeightsThatItBeganWith(bool external)
    {
        using TemporaryFolder folder = new();
        const int width = 1500;
        ModelProto model = OnnxModels.Empty();
        var random = new Random(3);
        TensorData frozen = TensorData.From<float>([.. Enumerable.Range(0, 4 * width).Select(_ => random.NextSingle() - 0.5f)], 4, width);
        model.Graph.Initializer.Add(TensorSerializer.Write("frozen", frozen));
        TensorData large = TensorData.From<float>([.. Enumerable.Range(0, width * width).Select(_ => random.NextSingle() - 0.5f)],
            width, width);
        model.Graph.Initializer.Add(TensorSerializer.Write("large", large));
        model.Graph.Initializer.Add(TensorSerializer.Write("head", TensorData.From<float>(new float[3 * width], width, 3)));
        model.Graph.Input.Add(Described("x", 4));
        model.Graph.Node.Add(new NodeProto { OpType = "MatMul", Input = { "x", "frozen" }, Output = { "a" } });
        model.Graph.Node.Add(new NodeProto { OpType = "MatMul", Input = { "a", "large" }, Output = { "b" } });
        model.Graph.Node.Add(new NodeProto { OpType = "MatMul", Input = { "b", "head" }, Output = { "logits" } });
        model.Graph.Output.Add(Described("logits", 3));
        string path = folder["m.onnx"];
        ModelFile.Save(model, path, external ? 100 : ModelFile.DefaultExternalDataThreshold);
        Assert.AreEqual(!external, new FileInfo(path).Length > LargeTensors.MinFileBytes);
        using TrainingDriver driver = TrainingDriver.Create(path, new TrainingOptions
        {
            Optimizer = new() { Groups = [UpdateRule.Sgd(0.1)] },
            Parameters = new() { TrainOnly = ["head"] },
        });
        using Batch batch = new Batch().Add("x", new float[] { 1, 2, 3, 4, 4, 3, 2, 1 }, 2, 4).Add("labels", new long[] { 0, 2 }, 2);
        for (int i = 0; i < 2; i++)
        {
            driver.Step(batch);
            driver.ExportModel(path);
            GC.Collect();
        }
        ModelProto exported = ModelProto.Parser.ParseFrom(File.ReadAllBytes(path));
        TensorProto head = exported.Graph.Initializer.Single(i => i.Name == "head");
        Assert.IsTrue(head.RawData.Span.ContainsAnyExcept((byte)0));
        Assert.IsTrue(exported.Graph.Initializer.Single(i => i.Name == "large").RawData.Span.SequenceEqual(large.Bytes.Span));
        double loss = driver.EvalStep(batch).Loss;
        using TrainingDriver next = TrainingDriver.Create(path);
        Assert.AreEqual(loss, next.EvalStep(batch).Loss);
    }

    private static ModelProto Parse(string path)
    {
        using FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        return LargeTensors.Parse(stream, path, minFileBytes: 0, SmallestTensor);
    }

    /// <summary>Large tensors as initializer, as constant, in a body, in a constant of a body and of a function; and fields of a
    /// version to come.</summary>
    private static ModelProto Nested()
    {
        ModelProto model = OnnxModels.With(TensorSerializer.Write("w", OnnxModels.Ramp(4, 8)),
            TensorSerializer.Write("small", OnnxModels.Ramp(3)));
        model.Graph.Node.Add(Constant("c", 16));
        var body = new GraphProto { Name = "body" };
        body.Initializer.Add(TensorSerializer.Write("inner", OnnxModels.Ramp(20)));
        body.Node.Add(Constant("d", 24));
        model.Graph.Node.Add(new NodeProto
        {
            OpType = "If",
            Input = { "yes" },
            Output = { "y" },
            Attribute = { new AttributeProto { Name = "then_branch", Type = AttributeProto.Types.AttributeType.Graph, G = body } },
        });
        var function = new FunctionProto { Name = "f", Domain = "own" };
        function.Node.Add(Constant("e", 17));
        model.Functions.Add(function);
        // Field 901, a number of 32 bits.
        model.Graph.MergeFrom([(byte)(0x80 | (((901 << 3) | 5) & 0x7F)), (byte)(((901 << 3) | 5) >> 7), 1, 2, 3, 4]);
        return model;
    }

    private static NodeProto Constant(string name, int size) => new()
    {
        OpType = "Constant",
        Output = { name },
        Attribute =
        {
            new AttributeProto
            {
                Name = "value",
                Type = AttributeProto.Types.AttributeType.Tensor,
                T = TensorSerializer.Write("", OnnxModels.Ramp(size)),
            },
        },
    };

    private static ValueInfoProto Described(string name, long width) => new()
    {
        Name = name,
        Type = new TypeProto
        {
            TensorType = new TypeProto.Types.Tensor
            {
                ElemType = (int)ElementType.Float,
                Shape = new TensorShapeProto
                {
                    Dim =
                    {
                        new TensorShapeProto.Types.Dimension { DimParam = "batch" },
                        new TensorShapeProto.Types.Dimension { DimValue = width },
                    },
                },
            },
        },
    };
}
