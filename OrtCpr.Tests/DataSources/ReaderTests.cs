using System.IO.Compression;
using System.Text;
using OrtCpr.Checkpoints;
using OrtCpr.Data;
using OrtCpr.Graph;

namespace OrtCpr.Tests.DataSources;

// Readers on files written byte by byte, and on what is wrong with them.
[TestClass]
public sealed class ReaderTests
{
    internal static byte[] Npy(string header, byte[] data, int version = 1)
    {
        byte[] text = Encoding.Latin1.GetBytes(header);
        byte[] length = version == 1 ? BitConverter.GetBytes((ushort)text.Length) : BitConverter.GetBytes((uint)text.Length);
        return [0x93, .. "NUMPY"u8, (byte)version, 0, .. length, .. text, .. data];
    }

    private static string Header(string descr, string shape, string fortran = "False") =>
        $"{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': ({shape}), }}      \n";

    internal static byte[] Npz(params (string Name, byte[] Bytes)[] arrays)
    {
        using var stream = new MemoryStream();
        using (var archive = new ZipArchive(stream, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach ((string name, byte[] bytes) in arrays)
            {
                using Stream entry = archive.CreateEntry(name).Open();
                entry.Write(bytes);
            }
        }
        return stream.ToArray();
    }

    private static double[] Example(DataSource source, string column, long row)
    {
        int index = source.Columns.ToList().FindIndex(c => c.Name == column);
        DataColumn found = source.Columns[index];
        byte[] bytes = new byte[found.Length * found.Type.BitsPerElement() / 8];
        source.Read(index, row, bytes);
        return TensorData.Create(found.Type, [.. found.Dimensions], bytes).ToDoubles();
    }

    private static T Refused<T>(Action action, params string[] parts) where T : OrtCprException
    {
        T error = Assert.ThrowsExactly<T>(action);
        foreach (string part in parts) StringAssert.Contains(error.Message, part);
        return error;
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(2)]
    [DataRow(3)]
    public void Npy_OfEveryVersion(int version)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder["x.npy"],
            Npy(Header("<f4", "3, 2"), [.. new float[] { 1, 2, 3, 4, 5, 6 }.SelectMany(BitConverter.GetBytes)], version));
        using DataSource source = DataSource.FromNumpy(folder["x.npy"]);
        Assert.AreEqual(3, source.Count);
        Assert.AreEqual(new DataColumn("x", ElementType.Float, [2]).ToString(), source.Columns[0].ToString());
        CollectionAssert.AreEqual(new double[] { 3, 4 }, Example(source, "x", 1));
    }

    [TestMethod]
    public void Npz_OfSeveralTypes_ScalarRowsAndFortranVectors()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder["all.npz"],
            Npz(("image.npy", Npy(Header("|u1", "2, 1, 3"), [1, 2, 3, 4, 5, 250])),
            ("label.npy", Npy(Header("<i8", "2,", "True"), [.. BitConverter.GetBytes(7L), .. BitConverter.GetBytes(-1L)])),
            ("readme.txt", [1])));
        using DataSource source = DataSource.FromNumpy(folder["all.npz"]);
        CollectionAssert.AreEqual(new double[] { 4, 5, 250 }, Example(source, "image", 1));
        CollectionAssert.AreEqual(new double[] { -1 }, Example(source, "label", 1));
    }

    [TestMethod]
    public void Npy_WhatIsWrong_IsNamedWithItsOffset()
    {
        using var folder = new TemporaryFolder();
        void Bad(byte[] bytes, params string[] parts)
        {
            File.WriteAllBytes(folder["x.npy"], bytes);
            Refused<DataFileException>(() => NumpyFile.Read(folder["x.npy"]), [folder["x.npy"], .. parts]);
        }
        byte[] good = Npy(Header("<f4", "2,"), new byte[8]);
        for (int length = 0; length < good.Length; length++) Bad(good[..length]);
        Bad([.. good, 0], "takes 8 bytes; found 9");
        Bad(Npy(Header(">f4", "2,"), new byte[8]), "elements of type '>f4'; expected one of <f4");
        Bad(Npy(Header("<f4", "2, 2", "True"), new byte[16]), "Fortran order", "ascontiguousarray");
        Bad(Npy(Header("|O", "2,"), new byte[16]), "type '|O'");
        Bad(Npy(Header("<f4", "9999999999, 9999999999"), new byte[8]), "At most 2 GiB");
        Bad(Npy("{'descr': [('a', '<f4')]}", []), "Arrays of structures");
        Bad(Npy(Header("<f4", "2,"), new byte[8], 4), "format version 4");
        Refused<FileAccessException>(() => NumpyFile.Read(folder["missing.npy"]), folder["missing.npy"]);
    }

    [TestMethod]
    public void Safetensors_AndTensorsThatAreNoExamples()
    {
        using var folder = new TemporaryFolder();
        SafetensorsFile.Write(folder["x.safetensors"],
            new Dictionary<string, TensorData>
            {
                ["x"] = TensorData.From<float>([1, 2, 3, 4], 2, 2),
                ["y"] = TensorData.From<long>([5, 6], 2)
            });
        using (DataSource source = DataSource.FromSafetensors(folder["x.safetensors"]))
        {
            CollectionAssert.AreEqual(new double[] { 3, 4 },
            Example(source, "x", 1));
        }

        Refused<DataFileException>(() =>
            Make(new Dictionary<string, TensorData> { ["x"] = TensorData.From<float>([1], 1), ["y"] = TensorData.From<float>([1, 2], 2) }),
            "differ: 'x'");
        Refused<DataFileException>(() => Make(new Dictionary<string, TensorData> { ["x"] = TensorData.Scalar(1f) }), "at least one axis");
        Refused<DataFileException>(() => Make(new Dictionary<string, TensorData>()), "no tensor");
    }

    private static void Make(Dictionary<string, TensorData> tensors) => DataSource.FromTensors(tensors).Dispose();

    private static byte[] Record(params byte[] labels) => [.. labels, .. Enumerable.Range(0, 3072).Select(i => (byte)(i + labels[^1]))];

    [TestMethod]
    public void Cifar_TenAndHundred()
    {
        using var folder = new TemporaryFolder();
        for (int i = 1; i <= 5; i++) File.WriteAllBytes(folder[$"data_batch_{i}.bin"], [.. Record((byte)i), .. Record((byte)(i + 1))]);
        using (DataSource ten = DataSource.FromCifar(folder.FolderPath, training: true))
        {
            Assert.AreEqual(10, ten.Count);
            CollectionAssert.AreEqual(new double[] { 4 }, Example(ten, "label", 5), "the second record of the third file");
            Assert.AreEqual(3.0, Example(ten, "image", 5)[255]);
        }
        File.WriteAllBytes(folder["test.bin"], [.. Record(19, 99), .. Record(3, 7)]);
        using DataSource hundred = DataSource.FromCifar(folder.FolderPath, training: false);
        CollectionAssert.AreEqual(new double[] { 7 }, Example(hundred, "label", 1));
        CollectionAssert.AreEqual(new double[] { 19 }, Example(hundred, "coarse_label", 0));
    }

    [TestMethod]
    public void Cifar_WhatIsWrong()
    {
        using var folder = new TemporaryFolder();
        Refused<DataFileException>(() => DataSource.FromCifar(folder.FolderPath, true), "neither train.bin", "data_batch_1.bin");
        File.WriteAllBytes(folder["data_batch_1.bin"], Record(1));
        Refused<DataFileException>(() => DataSource.FromCifar(folder.FolderPath, true), "lacks data_batch_2.bin");
        File.WriteAllBytes(folder["train.bin"], Record(1, 2)[..3000]);
        Refused<DataFileException>(() => DataSource.FromCifar(folder.FolderPath, true), folder["train.bin"], "offset 0",
            "records of 3074 bytes");
        File.WriteAllBytes(folder["train.bin"], [.. Record(1, 2), .. Record(1, 100)]);
        Refused<DataFileException>(() => DataSource.FromCifar(folder.FolderPath, true), "offset 3074: label 100");
    }

    [TestMethod]
    public void Idx_ImagesLabelsAndBigEndianNumbers()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder["images"], [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 1, 2, 3, 4]);
        using (var packed = new GZipStream(File.Create(folder["labels.gz"]), CompressionLevel.Fastest))
        {
            packed.Write([0, 0, 8, 1, 0, 0, 0,
            2, 9, 5]);
        }

        using DataSource pair = DataSource.FromIdx(folder["images"], folder["labels.gz"]);
        CollectionAssert.AreEqual(new double[] { 3, 4 }, Example(pair, "image", 1));
        CollectionAssert.AreEqual(new double[] { 5 }, Example(pair, "label", 1));
        File.WriteAllBytes(folder["floats"], [0, 0, 0x0D, 1, 0, 0, 0, 1, 0x3F, 0xC0, 0, 0]);
        Assert.AreEqual(1.5, IdxFile.Read(folder["floats"]).ToDoubles()[0]);
        File.WriteAllBytes(folder["floats"], [0, 0, 0x0D, 2, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1]);
        Refused<DataFileException>(() => IdxFile.Read(folder["floats"]), "more than 2 GiB");
        File.WriteAllBytes(folder["floats"], [0, 0, 0x0D, 1, 0, 0, 0, 2, 1]);
        Refused<DataFileException>(() => IdxFile.Read(folder["floats"]), "takes 8 bytes; found 1");
        File.WriteAllBytes(folder["broken.gz"], [0x1F, 0x8B, 8, 0, 1, 2]);
        Refused<DataFileException>(() => IdxFile.Read(folder["broken.gz"]), "broken.gz");
    }

    [TestMethod]
    public void Csv_FeaturesClassesAndCategories()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["a.csv"],
            "width,colour,\"the, name\",species\n1.5,red,7,setosa\n-2e1,\"blue\",8,\"virg\"\"inica\"\n3,red,9,setosa\n");
        using DataSource source = DataSource.FromCsv(folder["a.csv"], new CsvOptions { Label = "species", Categorical = ["colour"] });
        CollectionAssert.AreEqual(new double[] { -20, 1, 8 }, Example(source, "features", 1));
        CollectionAssert.AreEqual(new double[] { 1 }, Example(source, "label", 1));
        CollectionAssert.AreEqual(new[] { "setosa", "virg\"inica" }, source.Columns[1].ClassNames);
        CollectionAssert.AreEqual(new[] { "width", "colour", "the, name" }, source.Columns[0].ElementNames);
        Assert.AreEqual(ElementType.Int64, source.Columns[1].Type);
        using DataSource numbers = DataSource.FromCsv(folder["a.csv"], new CsvOptions { Label = "width", Features = ["the, name"] });
        CollectionAssert.AreEqual(new double[] { 1.5 }, Example(numbers, "label", 0));
        Assert.AreEqual(ElementType.Float, numbers.Columns[1].Type);
        File.WriteAllText(folder["b.csv"], "x;y\r\n1;0\r\n2;1\r\n");
        using DataSource semicolons = DataSource.FromCsv(folder["b.csv"], new CsvOptions { Label = "y" });
        CollectionAssert.AreEqual(new double[] { 2 }, Example(semicolons, "features", 1));
    }

    [TestMethod]
    public void Csv_EmptyCells_TakeTheMissingValue_ButLabelsAndCategoriesMayNotBeEmpty()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["a.csv"], "x,colour,y\n1,red,0\n,blue,1\n");
        CsvOptions options = new() { Label = "y", Categorical = ["colour"], MissingValue = -7 };
        using DataSource source = DataSource.FromCsv(folder["a.csv"], options);
        CollectionAssert.AreEqual(new double[] { -7, 1 }, Example(source, "features", 1));
        File.WriteAllText(folder["a.csv"], "x,colour,y\n1,,0\n2,blue,\nno,blue,1\n");
        Refused<DataFileException>(() => DataSource.FromCsv(folder["a.csv"], options), "line 2, column 'colour': the cell is empty",
            "line 3, column 'y': the label is missing", "line 4, column 'x': expected a number, found 'no'");
    }

    [TestMethod]
    public void Csv_WhatIsWrong_AllAtOnce()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["a.csv"], "x,y,z\n1,2,a\n1,,b\nthree,2,c\n1,2\n1,2,\n");
        Refused<DataFileException>(() => DataSource.FromCsv(folder["a.csv"], new CsvOptions { Label = "z" }), folder["a.csv"],
            "line 3, column 'y': expected a number, found nothing",
            "line 4, column 'x': expected a number, found 'three'", "line 5: 2 cells, expected 3",
                "line 6, column 'z': the label is missing");
        Refused<DataFileException>(() => DataSource.FromCsv(folder["a.csv"], new CsvOptions { Label = "w", Features = ["v"] }),
            "no column 'v', 'w'; there are 'x', 'y', 'z'");
        CsvOptions unknown = new() { Label = "z", Features = ["x"], Classes = ["a"] };
        Refused<DataFileException>(() => DataSource.FromCsv(folder["a.csv"], unknown), "line");
        File.WriteAllText(folder["a.csv"], "x,y\n");
        Refused<DataFileException>(() => DataSource.FromCsv(folder["a.csv"]), "no line after the header");
        File.WriteAllText(folder["a.csv"], "");
        Assert.ThrowsExactly<DataFileException>(() => DataSource.FromCsv(folder["a.csv"]));
    }

    [TestMethod]
    public void Tokens_AreWindowsAndTheNextTokens()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder["t.bin"],
            [.. Enumerable.Range(65530, 6).Concat(Enumerable.Range(0, 5)).SelectMany(i => BitConverter.GetBytes((ushort)i))]);
        using DataSource apart = DataSource.FromTokenFile(folder["t.bin"], 3);
        Assert.AreEqual(3, apart.Count);
        CollectionAssert.AreEqual(new double[] { 65533, 65534, 65535 }, Example(apart, "tokens", 1));
        CollectionAssert.AreEqual(new double[] { 65534, 65535, 0 }, Example(apart, "labels", 1));
        using DataSource each = DataSource.FromTokenFile(folder["t.bin"], 3, stride: 1);
        Assert.AreEqual(8, each.Count);
        CollectionAssert.AreEqual(new double[] { 2, 3, 4 }, Example(each, "labels", 7));
        using DataSource wide = DataSource.FromTokens([70000, 1, 2], 2);
        CollectionAssert.AreEqual(new double[] { 70000, 1 }, Example(wide, "tokens", 0));
        Refused<DataFileException>(() => DataSource.FromTokenFile(folder["t.bin"], 11), "11 tokens; expected at least 12");
        Refused<DataFileException>(() => DataSource.FromTokenFile(folder["t.bin"], 3, width: 4), "22 bytes are no whole tokens of 4 bytes");
        Refused<DataFileException>(() => DataSource.FromTokens([1, -1, 2], 1), "Token 1 is -1");
        Refused<OptionException>(() => DataSource.FromTokenFile(folder["t.bin"], 3, width: 3), folder["t.bin"],
            "tokens of 3 bytes; expected 2 or 4");
    }

    [TestMethod]
    public void Texts_AsBytesCharactersAndByATokenizer()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["a.txt"], "ba\U0001F600ab");
        CollectionAssert.AreEqual(new[] { 98, 97, 0xF0, 0x9F, 0x98, 0x80, 97, 98 }, TextTokens.Bytes(folder["a.txt"]).ToArray());
        (IReadOnlyList<int> tokens, System.Collections.Immutable.ImmutableArray<string> vocabulary) =
            TextTokens.Characters(folder["a.txt"]);
        CollectionAssert.AreEqual(new[] { 1, 0, 2, 0, 1 }, tokens.ToArray());
        CollectionAssert.AreEqual(new[] { "a", "b", "\U0001F600" }, vocabulary);
        CollectionAssert.AreEqual(new[] { 6 }, TextTokens.Encode(folder["a.txt"], t => [t.Length]).ToArray());
        File.WriteAllText(folder["b.txt"], "abc");
        Refused<DataFileException>(() => TextTokens.Characters(folder["b.txt"], vocabulary),
            "1 characters that are not in the vocabulary: c");
        File.WriteAllBytes(folder["b.txt"], [97, 0xFF, 98]);
        Refused<DataFileException>(() => TextTokens.Characters(folder["b.txt"]), "offset 1");
    }
}
