using System.Runtime.InteropServices;
using OrtCpr.Data;
using OrtCpr.Graph;
using OrtCpr.Vision;

namespace OrtCpr.Tests.Vision;

[TestClass]
public sealed class ImageTableTests
{
    private static readonly ImageOptions Small = ImageOptions.Raw with { Height = 2, Width = 2, Fit = ImageFit.Squash };

    private static string Table(TemporaryFolder folder, params string[] lines)
    {
        Directory.CreateDirectory(folder["pictures"]);
        foreach (string name in new[] { "a", "b", "c" }) ShapePictures.Save(folder[$"pictures/{name}.png"], 1, 0xFF0A0A0A);
        File.WriteAllLines(folder["table.csv"], lines);
        return folder["table.csv"];
    }

    private static T[] Labels<T>(DataSource source) where T : unmanaged
    {
        byte[] bytes = new byte[source.Columns[1].Size];
        return [.. Enumerable.Range(0, (int)source.Count).Select(row =>
        {
            source.Read(1, row, bytes);
            return MemoryMarshal.Read<T>(bytes);
        })];
    }

    [TestMethod]
    public void Labels_AreTexts_WholeNumbers_OrNumbers()
    {
        using var folder = new TemporaryFolder();
        string csv = Table(folder, "file,kind,age,number", "pictures/a.png,\"red, round\",1,0.5", "pictures\\b.png,blue,0,-2", "",
            "pictures/c.png,blue,3,1e2");
        using ImageSource texts = ImageTable.Open(csv, "file", "kind", Small);
        CollectionAssert.AreEqual(new[] { "blue", "red, round" }, texts.ClassNames.ToArray());
        CollectionAssert.AreEqual(new long[] { 1, 0, 0 }, Labels<long>(texts));
        using ImageSource ordered = ImageTable.Open(csv, "file", "kind", Small with { Classes = ["red, round", "green", "blue"] });
        CollectionAssert.AreEqual(new long[] { 0, 2, 2 }, Labels<long>(ordered));
        using ImageSource whole = ImageTable.Open(csv, "file", "age", Small);
        CollectionAssert.AreEqual(new long[] { 1, 0, 3 }, Labels<long>(whole));
        Assert.IsEmpty(whole.ClassNames);
        using ImageSource ages = ImageTable.Open(csv, "file", "age", Small with { Labels = ImageLabels.Numbers });
        CollectionAssert.AreEqual(new float[] { 1, 0, 3 }, Labels<float>(ages));
        using ImageSource numbers = ImageTable.Open(csv, "file", "number", Small);
        Assert.AreEqual("'labels' Float[1]", numbers.Columns[1].ToString());
        CollectionAssert.AreEqual(new[] { 0.5f, -2, 100 }, Labels<float>(numbers));
        using ImageSource classes = ImageTable.Open(csv, "file", "age",
            Small with { Labels = ImageLabels.Classes, Classes = ["1", "3", "0"] });
        CollectionAssert.AreEqual(new long[] { 0, 2, 1 }, Labels<long>(classes), "names of classes that look like numbers");
        using ImageSource none = ImageTable.Open(csv, "file", null, Small);
        Assert.HasCount(1, none.Columns);
    }

    private static string Refused(string csv, string label, ImageOptions? options = null) =>
        Assert.ThrowsExactly<DataFileException>(() => ImageTable.Open(csv, "file", label, options ?? Small)).Message;

    [TestMethod]
    public void WhatIsWrong_IsNamedWithItsLine()
    {
        using var folder = new TemporaryFolder();
        string csv = Table(folder, "file,kind,same", "pictures/a.png,x,1", "pictures/none.png,y,1", "pictures/b.png,,1", ",x,1",
            "pictures/c.png,x", "pictures/gone.png,y,1");
        string message = Refused(csv, "kind");
        foreach (string part in new[] { "line 3: there is no file", "none.png", "line 4: the label is missing",
            "line 5: the path is missing",
            "line 6: 2 cells, expected 3", "line 7: there is no file" })
        {
            StringAssert.Contains(message, part);
        }
        csv = Table(folder, "file,kind,same", "pictures/a.png,x,1", "pictures/b.png,y,1");
        StringAssert.Contains(Refused(csv, "colour"), "there is no column 'colour'; there are 'file', 'kind', 'same'");
        StringAssert.Contains(Refused(csv, "same"), "column 'same' has one class only, '1'");
        StringAssert.Contains(Refused(csv, "kind", Small with { Classes = ["x", "z"] }), "line 3: 'y' is none of the classes 'x', 'z'");
        StringAssert.Contains(Refused(csv, "kind", Small with { Labels = ImageLabels.Numbers }),
            "line 2: 'x' in column 'kind' is no number");
        StringAssert.Contains(Refused(Table(folder, "file,kind"), "kind"), "there is no line after the header");
        File.WriteAllText(folder["pictures/b.png"], "damaged");
        csv = Table(folder, "file,kind", "pictures/a.png,x", "pictures/x.png,y", "pictures/c.png,y");
        File.WriteAllText(folder["pictures/x.png"], "damaged");
        StringAssert.Contains(Refused(csv, "kind"), "line 3: '");
        using ImageSource left = ImageTable.Open(csv, "file", "kind", Small with { Damaged = DamagedImages.Skip });
        CollectionAssert.AreEqual(new long[] { 0, 1 }, Labels<long>(left));
        Assert.HasCount(1, left.Skipped);
        Assert.ThrowsExactly<FileAccessException>(() => ImageTable.Open(folder["no.csv"], "file", "kind", Small));
    }
}
